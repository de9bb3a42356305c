import t from 'tap'
import { openTestApi } from '../support/api.js'

interface Problem {
  readonly code: string
  readonly status: number
  readonly remedy: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
}

const start = {
  kind: 'asset-operation',
  asset_id: 'web-01',
  operation: 'start',
  spec: {},
  reason: 'the morning begins',
}

t.test('a proposal that breaks the contract is refused at its field', async (t) => {
  const api = await openTestApi(t)
  const token = await api.token('ada', 'proposer')
  const size = api.ledger.size()
  const post = (body: unknown) => api.send<Problem>('POST', '/v1/proposals', { token, body })

  const refused: readonly (readonly [string, unknown, string])[] = [
    ['an unknown field', { ...start, priority: 1 }, '/priority'],
    ['a raw vmid', { ...start, vmid: 104 }, '/vmid'],
    ['a raw namespace', { ...start, namespace: 'prod' }, '/namespace'],
    ['a wrong type', { ...start, reason: 7 }, '/reason'],
    ['an empty reason', { ...start, reason: '' }, '/reason'],
    ['an unknown kind', { ...start, kind: 'asset-magic' }, '/kind'],
    ['a name that is none', { ...start, asset_id: 'a b' }, '/asset_id'],
  ]
  for (const [name, body, pointer] of refused) {
    const answer = await post(body)
    t.match(answer, { status: 422, body: { code: 'REQUEST_INVALID' } }, `${name}: ${answer.text}`)
    t.match(answer.headers.get('content-type'), /^application\/problem\+json/)
    t.ok(
      answer.body.errors?.some((error) => error.pointer === pointer),
      `${name} names ${pointer}: ${answer.text}`,
    )
    t.ok(answer.body.remedy.length > 0, `${name} comes with a remedy`)
  }
  const neither = await post({ ...start, asset_id: undefined })
  t.match(neither, { status: 422 }, 'neither asset nor role')
  const both = await post({ ...start, role: 'web' })
  t.match(both, { status: 422 }, 'both asset and role')

  t.equal(api.ledger.size(), size, 'nothing was recorded')
})

t.test('bodies, methods and paths that are not taken say so', async (t) => {
  const api = await openTestApi(t)
  const token = await api.token('ada', 'proposer', 'auditor')
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    api.send<Problem>('POST', '/v1/proposals', { token, body, headers })

  t.match(await post('{', { 'content-type': 'application/json' }), { status: 422 })
  t.match(await post('{"a":1,"a":2}', { 'content-type': 'application/json' }), { status: 422 })
  t.match(await post('a=1', { 'content-type': 'application/x-www-form-urlencoded' }), {
    status: 415,
    body: { code: 'CONTENT_TYPE_UNSUPPORTED' },
  })
  t.match(await post({ ...start, reason: 'x'.repeat(1024 * 1024) }), {
    status: 413,
    body: { code: 'REQUEST_TOO_LARGE' },
  })
  t.match(await api.send('GET', '/v1/nothing', { token }), {
    status: 404,
    body: { code: 'NOT_FOUND' },
  })
  t.match(await api.send('GET', '/v1/events/not-a-uuid', { token }), {
    status: 422,
    body: { errors: [{ pointer: '/id' }] },
  })
  t.match(await api.send('GET', '/v1/events?cursor=forged', { token }), { status: 422 })
  t.match(await api.send('GET', '/v1/events?limit=100000', { token }), { status: 422 })
  t.match(await api.send('GET', '/v1/events?colour=red', { token }), { status: 422 })
  t.match(await api.send('GET', '/v1/streams/order-9', { token }), {
    status: 404,
    body: { code: 'STREAM_NOT_FOUND' },
  })
  t.match(await api.send('GET', '/v1/consistency?from=1&to=999999', { token }), {
    status: 422,
    body: { code: 'TREE_RANGE' },
  })
  t.match(await api.send('GET', '/v1/assets/no-such', { token }), { status: 404 })
})

t.test('without a right token the answer says which one is needed', async (t) => {
  const api = await openTestApi(t)
  const auditor = await api.token('ann', 'auditor')

  t.match(await api.send('POST', '/v1/proposals', { body: start }), {
    status: 401,
    body: { code: 'TOKEN_MISSING' },
  })
  t.match(await api.send('POST', '/v1/proposals', { token: 'not-one', body: start }), {
    status: 401,
  })
  t.match(await api.send('POST', '/v1/proposals', { token: auditor, body: start }), {
    status: 403,
    body: { code: 'ACCESS_DENIED' },
  })
})
