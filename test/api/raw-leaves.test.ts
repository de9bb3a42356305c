import t from 'tap'
import { utf8 } from '../../src/ledger/encoding.js'
import { rawLeafBytesMax } from '../../src/ledger/raw-leaf.js'
import { parseEntryBundle } from '../../src/ledger/tiles.js'
import { openTestApi } from '../support/api.js'

const journal = { interoperability: true }

t.test('a raw leaf is answered with its index once it is durable', async (t) => {
  const api = await openTestApi(t, { journal, publicTiles: true })
  const token = await api.token('hammer', 'intake')
  const before = api.ledger.size()

  const bare = await api.send('POST', '/add', { token, body: utf8('one') })
  const named = await api.send('POST', '/add', {
    token,
    body: '{"not":"read"',
    headers: { 'content-type': 'application/json' },
  })

  t.equal(bare.status, 200)
  t.equal(bare.headers.get('content-type'), 'text/plain; charset=utf-8')
  t.strictSame([bare.text, named.text], [String(before), String(before + 1)])
  const { size } = await api.ledger.checkpointCovering(before + 1)
  const bundle = await fetch(`${api.url}/tile/entries/000.p/${size}`)
  const leaves = parseEntryBundle(new Uint8Array(await bundle.arrayBuffer()))
  t.strictSame(
    leaves.slice(before).map((leaf) => Buffer.from(leaf).toString()),
    ['one', '{"not":"read"'],
  )
  const events = await api.send<{ items: { position: string }[] }>('GET', '/v1/events', {
    token: api.admin,
  })
  t.equal(events.body.items.length, before)
})

t.test('what is no raw leaf is refused by name, and nothing is appended', async (t) => {
  const api = await openTestApi(t, { journal })
  const token = await api.token('hammer', 'intake')
  const reader = await api.token('ada', 'auditor')
  const before = api.ledger.size()
  const add = (body: Uint8Array | undefined, as?: string) =>
    api.send<{ code: string; remedy: string }>('POST', '/add', {
      ...(as === undefined ? {} : { token: as }),
      ...(body === undefined ? {} : { body }),
    })

  for (const [body, as, status, code] of [
    [utf8('one'), undefined, 401, 'TOKEN_MISSING'],
    [utf8('one'), reader, 403, 'ACCESS_DENIED'],
    [undefined, token, 422, 'REQUEST_INVALID'],
    [new Uint8Array(), token, 422, 'REQUEST_INVALID'],
    [utf8('fractalops/leaf/1\n{}'), token, 422, 'REQUEST_INVALID'],
    [new Uint8Array(rawLeafBytesMax + 1), token, 413, 'REQUEST_TOO_LARGE'],
  ] as const) {
    const answer = await add(body, as)
    t.equal(answer.status, status, code)
    t.equal(answer.body.code, code)
    t.match(answer.headers.get('content-type'), /application\/problem\+json/)
  }
  t.equal(api.ledger.size(), before)
  t.equal((await add(new Uint8Array(rawLeafBytesMax), token)).text, String(before))
})

t.test('elsewhere there is no such way in', async (t) => {
  const api = await openTestApi(t)
  const token = await api.token('hammer', 'intake')

  const answer = await api.send<{ code: string }>('POST', '/add', { token, body: utf8('one') })

  t.equal(answer.status, 404)
  t.equal(answer.body.code, 'NOT_FOUND')
})
