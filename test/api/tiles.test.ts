import t from 'tap'
import { leafHash, root } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { hexOf } from '../../src/ledger/encoding.js'
import { formatTilePath, parseEntryBundle, parseHashTile, tilesOf } from '../../src/ledger/tiles.js'
import { openTestApi, type TestApi } from '../support/api.js'
import { draft, request } from '../support/ledger.js'

const { sha256 } = nodeCrypto
const year = 'max-age=31536000, immutable'

const fill = async ({ ledger }: TestApi, count: number) => {
  await ledger.append(request({ events: Array.from({ length: count }, () => draft()) }))
  return ledger.checkpointCovering(ledger.size() - 1)
}

const bytesOf = async (api: TestApi, path: string, token?: string) => {
  const response = await fetch(`${api.url}/${path}`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })
  return {
    status: response.status,
    headers: response.headers,
    bytes: new Uint8Array(await response.arrayBuffer()),
  }
}

t.test('a stranger reads checkpoint and hash tiles and finds the signed root', async (t) => {
  const api = await openTestApi(t)
  const { size, root: published } = await fill(api, 300)
  const hashes: Uint8Array[] = []

  const checkpoint = await api.send('GET', '/checkpoint')
  for (const tile of tilesOf(size)) {
    if (tile.level === 'entries') continue
    const answer = await bytesOf(api, formatTilePath(tile))
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('content-type'), 'application/octet-stream')
    t.equal(answer.headers.get('cache-control'), `public, ${year}`)
    if (tile.level === 0) hashes.push(...parseHashTile(answer.bytes))
  }

  t.equal(checkpoint.headers.get('content-type'), 'text/plain; charset=utf-8')
  t.equal(checkpoint.headers.get('cache-control'), 'public, max-age=1')
  t.equal(checkpoint.text, api.ledger.checkpoint().note)
  t.equal(hexOf(root(sha256, hashes)), hexOf(published))
})

t.test('leaves need a token that may read, unless tiles are public', async (t) => {
  const api = await openTestApi(t)
  const open = await openTestApi(t, { publicTiles: true })
  await fill(api, 10)
  await fill(open, 10)
  const path = 'tile/entries/000.p/5'

  const stranger = await bytesOf(api, path)
  const intake = await bytesOf(api, path, await api.token('pump', 'intake'))
  const auditor = await bytesOf(api, path, await api.token('ada', 'auditor'))
  const everybody = await bytesOf(open, path)
  const hashes = parseHashTile((await bytesOf(api, 'tile/0/000.p/5')).bytes)

  t.equal(stranger.status, 401)
  t.equal(intake.status, 403)
  t.equal(auditor.status, 200)
  t.equal(auditor.headers.get('cache-control'), `private, ${year}`)
  t.equal(everybody.status, 200)
  t.equal(everybody.headers.get('cache-control'), `public, ${year}`)
  t.strictSame(
    parseEntryBundle(auditor.bytes).map((leaf) => hexOf(leafHash(sha256, leaf))),
    hashes.map(hexOf),
  )
})

t.test(
  'what is no path of a tile is 400, what is not published 404, both in plain text',
  async (t) => {
    const api = await openTestApi(t, { publicTiles: true })
    const { size } = await fill(api, 10)
    const asked = (path: string) => api.send('GET', path)

    for (const path of [
      '/tile/0/0',
      '/tile/64/000',
      '/tile/x/000',
      '/tile/0/000.p/0',
      '/tile/0/000.p/256',
      '/tile/0/x000/001',
      '/tile/entries/1',
      `/tile/0/${'x001/'.repeat(300)}000`,
    ]) {
      const answer = await asked(path)
      t.equal(answer.status, 400, path)
      t.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
    }
    for (const path of [
      `/tile/0/000.p/${size + 1}`,
      '/tile/0/000',
      '/tile/0/001.p/1',
      '/tile/1/000.p/1',
      '/tile/entries/000',
      '/tile/entries/x999/x999/999',
    ]) {
      const answer = await asked(path)
      t.equal(answer.status, 404, path)
      t.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
      t.equal(answer.headers.get('cache-control'), 'no-store')
    }
    t.equal((await api.send('HEAD', '/tile/0/000.p/1')).status, 200)
    t.equal((await api.send('POST', '/tile/0/000.p/1', { token: api.admin })).status, 404)
  },
)
