import { randomUUID } from 'node:crypto'
import t from 'tap'
import { cloudEvent, openTestApi, structured } from '../support/api.js'

const path = '/v1/streams/order-1/metadata'

async function openOrders(t: Parameters<typeof openTestApi>[0]) {
  const api = await openTestApi(t)
  const writer = await api.token('ada', 'proposer')
  const auditor = await api.token('grace', 'auditor')
  for (let i = 0; i < 3; i += 1)
    await api.send('POST', '/v1/evidence', {
      token: writer,
      body: cloudEvent({ type: 'order.placed', stream: 'order-1', subject: '1' }),
      headers: structured,
    })
  const put = (body: unknown, headers: Record<string, string> = {}, to = path) =>
    api.send('PUT', to, { token: writer, body, headers })
  const list = async (query = '', token = auditor) => {
    const answer = await api.send<{ items: { revision: string }[] }>(
      'GET',
      `/v1/streams/order-1${query}`,
      { token },
    )
    return answer.status === 200 ? answer.body.items.map(({ revision }) => revision) : answer.status
  }
  return { ...api, writer, auditor, put, list }
}

t.test('metadata hides a beginning of a stream, and auditors ask for what is hidden', async (t) => {
  const api = await openOrders(t)
  const { put, list, auditor } = api
  t.equal((await api.send('GET', path, { token: auditor })).status, 404)

  const set = await put({ $tb: 1, owner: 'ada' }, { 'if-none-match': '*' })

  t.match(set, { status: 200, body: { $tb: 1, owner: 'ada' } })
  t.equal(set.headers.get('etag'), '"rev-0"')
  const got = await api.send('GET', path, { token: auditor })
  t.strictSame(got.body, { $tb: 1, owner: 'ada' })
  t.equal(got.headers.get('etag'), '"rev-0"')
  t.strictSame(await list(), ['1', '2'])
  t.strictSame(await list('?order=newest&limit=1'), ['2'])
  t.strictSame(await list('?hidden=true'), ['0', '1', '2'])
  const all = await api.send<{ items: unknown[] }>('GET', '/v1/events?type=order.placed', {
    token: auditor,
  })
  t.equal(all.body.items.length, 3, 'the log hides nothing')

  await put({ $tb: 3 })
  t.equal(await list(), 404)
  t.strictSame(await list('?hidden=true'), ['0', '1', '2'])
})

t.test('metadata is changed under its ETag, once for one Idempotency-Key', async (t) => {
  const { put, ledger } = await openOrders(t)
  const first = { 'if-none-match': '*', 'idempotency-key': randomUUID() }
  await put({ $maxCount: 2 }, first)
  const size = ledger.size()

  t.match(await put({ $maxCount: 2 }, first), { status: 200 })
  t.match(await put({ $maxCount: 3 }, { 'if-none-match': '*' }), {
    status: 412,
    body: { code: 'PRECONDITION_FAILED' },
  })
  t.match(await put({ $maxCount: 3 }, { 'if-match': '"rev-1"' }), { status: 412 })
  t.match(await put({ $maxCount: 3 }, { 'if-match': 'W/"x"' }), { status: 412 })
  t.equal(ledger.size(), size)
  const changed = await put({ $maxCount: 3 }, { 'if-match': '"rev-0"' })
  t.equal(changed.headers.get('etag'), '"rev-1"')
})

t.test(
  'what is no metadata, or of a reserved stream, is refused, and nothing is appended',
  async (t) => {
    const api = await openOrders(t)
    const { put, ledger, auditor, writer } = api
    const size = ledger.size()

    for (const body of [{ $maxAge: 0 }, { $maxCount: 'x' }, { $tb: -1 }, []])
      t.match(await put(body), { status: 422, body: { code: 'REQUEST_INVALID' } })
    for (const stream of ['asset-web', 'proposal-1', '%24%24order-1', 'asset'])
      t.match(await put({}, {}, `/v1/streams/${stream}/metadata`), {
        status: 422,
        body: { code: 'STREAM_INVALID' },
      })
    t.match(await api.send('PUT', path, { token: auditor, body: {} }), { status: 403 })
    const posted = await api.send('POST', '/v1/evidence', {
      token: writer,
      body: cloudEvent({ type: '$metadata', stream: '$$order-1', subject: undefined }),
      headers: structured,
    })
    t.match(posted, { status: 422, body: { code: 'STREAM_INVALID' } })

    t.equal(ledger.size(), size)
  },
)
