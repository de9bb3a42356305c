import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { bytesOfHex, hexOf, utf8 } from '../../src/ledger/encoding.js'
import { leafHash, root } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import {
  entryBytesMax,
  formatEntryBundle,
  formatTilePath,
  hasTile,
  parseEntryBundle,
  parseHashTile,
  parseTilePath,
  readTile,
  type Tile,
  tilesOf,
  tileWidth,
  tileWidths,
} from '../../src/ledger/tiles.js'
import { draft, openTestLedger, request, wholeLog } from '../support/ledger.js'

const { sha256 } = nodeCrypto
const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../schemas/vectors/tiles.json'), 'utf8'),
  // The file stands beside the code and has this shape.
) as {
  paths: { tile: Tile; path: string }[]
  notPaths: string[]
  widths: { size: number; level: Tile['level']; full: number; partial: number }[]
  bundles: { leaves: string[]; bundle: string }[]
}

t.test('paths, widths and bundles are those of the vectors', async (t) => {
  for (const { tile, path } of vectors.paths) {
    t.equal(formatTilePath(tile), path)
    t.strictSame(parseTilePath(path), tile)
  }
  for (const path of vectors.notPaths)
    t.throws(() => parseTilePath(path), { code: 'REQUEST_INVALID' }, path)
  for (const { size, level, full, partial } of vectors.widths)
    t.strictSame(tileWidths(size, level), { full, partial })
  for (const { leaves, bundle } of vectors.bundles) {
    t.equal(hexOf(formatEntryBundle(leaves.map(bytesOfHex))), bundle)
    t.strictSame(parseEntryBundle(bytesOfHex(bundle)).map(hexOf), leaves)
  }
})

t.test('every tile has one path, and every path that is read is the one of its tile', async () => {
  const level = fc.oneof(fc.constant('entries' as const), fc.integer({ min: 0, max: 63 }))
  const tile = fc.record({
    level,
    index: fc.oneof(fc.nat(2000), fc.maxSafeNat()),
    width: fc.integer({ min: 1, max: tileWidth }),
  })
  fc.assert(
    fc.property(tile, (one) => {
      const read = parseTilePath(formatTilePath(one))
      return read.level === one.level && read.index === one.index && read.width === one.width
    }),
  )
  const almost = fc.stringMatching(/^tile\/(entries|\d{1,2})\/(x\d{3}\/){0,2}\d{3}(\.p\/\d{1,3})?$/)
  fc.assert(
    fc.property(almost, (path) => {
      try {
        return formatTilePath(parseTilePath(path)) === path
      } catch (error) {
        return error instanceof Error && 'code' in error && error.code === 'REQUEST_INVALID'
      }
    }),
  )
})

t.test('a bundle that was cut off or holds too much is malformed', async (t) => {
  const whole = formatEntryBundle([utf8('abc'), utf8('de')])
  for (const length of [1, 2, 4, 6, 8])
    t.throws(() => parseEntryBundle(whole.subarray(0, length)), { code: 'PROOF_MALFORMED' })
  t.throws(() => parseEntryBundle(new Uint8Array(2 * 257)), { code: 'PROOF_MALFORMED' })
  t.throws(() => parseHashTile(new Uint8Array(33)), { code: 'PROOF_MALFORMED' })
  t.throws(() => formatEntryBundle([new Uint8Array(entryBytesMax + 1)]), RangeError)
})

t.test(
  'the tiles of a published tree are its leaves and their hashes, up to the root',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const total = 600
    for (let from = 0; from < total; from += 100) {
      await ledger.append(
        request({
          events: Array.from({ length: 100 }, (_, i) => draft({ data: utf8(`${from + i}`) })),
        }),
      )
    }
    await ledger.append(request({ events: [draft({ data: new Uint8Array(2 * 1024 * 1024) })] }))
    await ledger.append(request())
    const { size, root: published } = await ledger.checkpointCovering(total + 1)
    const log = await wholeLog(ledger)
    const tiles = [...tilesOf(size)]
    const hashes: Uint8Array[] = []
    const texts: string[] = []

    for (const tile of tiles.filter(({ level }) => level === 0))
      hashes.push(...parseHashTile(await readTile(ledger, tile)))
    for (const tile of tiles.filter(({ level }) => level === 'entries'))
      texts.push(
        ...parseEntryBundle(await readTile(ledger, tile)).map((leaf) =>
          Buffer.from(leaf).toString(),
        ),
      )

    t.strictSame(tiles.map(formatTilePath), [
      'tile/0/000',
      'tile/0/001',
      `tile/0/002.p/${size - 512}`,
      'tile/1/000.p/2',
      'tile/entries/000',
      'tile/entries/001',
      `tile/entries/002.p/${size - 512}`,
    ])
    t.strictSame(
      texts,
      log.map(({ leafText }) => leafText),
    )
    t.strictSame(
      hashes.map(hexOf),
      texts.map((text) => hexOf(leafHash(sha256, utf8(text)))),
    )
    t.equal(hexOf(root(sha256, hashes)), hexOf(published))
    const above = parseHashTile(await readTile(ledger, { level: 1, index: 0, width: 2 }))
    t.strictSame(above.map(hexOf), [
      hexOf(root(sha256, hashes.slice(0, 256))),
      hexOf(root(sha256, hashes.slice(256, 512))),
    ])
  },
)

t.test(
  'partial tiles of every published size stay, and nothing beyond the last checkpoint is there',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const sizes: number[] = []
    for (let i = 0; i < 5; i += 1) {
      const [receipt] = await ledger.append(request({ events: [draft(), draft()] }))
      sizes.push((await ledger.checkpointCovering(receipt?.position ?? 0)).size)
    }
    const { size } = ledger.checkpoint()

    for (const width of sizes) {
      const hashes = parseHashTile(await readTile(ledger, { level: 0, index: 0, width }))
      const leaves = parseEntryBundle(await readTile(ledger, { level: 'entries', index: 0, width }))
      t.strictSame(
        hashes.map(hexOf),
        leaves.map((leaf) => hexOf(leafHash(sha256, leaf))),
      )
    }
    const beyond: Tile[] = [
      { level: 0, index: 0, width: size + 1 },
      { level: 0, index: 0, width: tileWidth },
      { level: 0, index: 1, width: 1 },
      { level: 1, index: 0, width: 1 },
      { level: 63, index: 0, width: 1 },
      { level: 'entries', index: 0, width: size + 1 },
      { level: 'entries', index: Number.MAX_SAFE_INTEGER, width: 1 },
    ]
    for (const tile of beyond) {
      t.notOk(hasTile(tile, size))
      await t.rejects(readTile(ledger, tile), { code: 'NOT_FOUND' })
    }
    await t.rejects(ledger.hashTile(0, 0, size + 1), { code: 'TREE_RANGE' })
    await t.rejects(ledger.leaves(size, 1), { code: 'TREE_RANGE' })
  },
)
