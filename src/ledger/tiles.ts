import { EvidenceError } from '../contracts/errors.js'
import type { ProofSource } from './event-store.js'

/** A full tile holds the hashes of this many subtrees, a full entry bundle this many leaves. */
export const tileWidth = 256
export const tileLevelMax = 63
/** An entry bundle gives the length of a leaf two bytes. */
export const entryBytesMax = 65_535
const hashBytes = 32
/** Groups of three digits in the index of a tile of a tree of 2^64 leaves. */
const indexGroupsMax = 7

/** One resource of C2SP tlog-tiles: a tile of hashes at a level, or a bundle of the leaves themselves. */
export interface Tile {
  readonly level: number | 'entries'
  readonly index: number
  /** 1 to 256; below 256 the tile is a partial one. */
  readonly width: number
}

/** What a ledger gives to serve tiles; both know only what is durable. */
export interface TileSource {
  /**
   * The hashes of `width` complete subtrees of 256^level leaves, from subtree `index` × 256 on, one
   * behind the other. @throws EvidenceError TREE_RANGE.
   */
  hashTile(level: number, index: number, width: number): Promise<Uint8Array>
  /** The exact bytes that are hashed at positions `[from, from + count)`. @throws EvidenceError TREE_RANGE. */
  leaves(from: number, count: number): Promise<readonly Uint8Array[]>
}

const malformed = (detail: string) =>
  new EvidenceError('REQUEST_INVALID', `this is no path of a tile: ${detail}`)

/** The path behind the prefix of the log: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`. */
export function formatTilePath({ level, index, width }: Tile): string {
  let rest = Math.floor(index / 1000)
  let groups = String(index % 1000).padStart(3, '0')
  for (; rest > 0; rest = Math.floor(rest / 1000))
    groups = `x${String(rest % 1000).padStart(3, '0')}/${groups}`
  return `tile/${level}/${groups}${width === tileWidth ? '' : `.p/${width}`}`
}

/** Reads such a path; only the one text of a tile passes. @throws EvidenceError REQUEST_INVALID. */
export function parseTilePath(path: string): Tile {
  const [, level, groups, last, partial] =
    /^tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/)*)([0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(
      path,
    ) ?? []
  if (level === undefined || groups === undefined || last === undefined)
    throw malformed(
      'it must be tile/<level or entries>/<index in groups of three digits>[.p/<width>]',
    )
  if (level !== 'entries' && Number(level) > tileLevelMax)
    throw malformed(`the level is above ${tileLevelMax}`)
  const digits = groups.replaceAll(/[x/]/g, '') + last
  if (digits.length > 3 * indexGroupsMax) throw malformed('the index is too large')
  if (groups.startsWith('x000')) throw malformed('the index has a group of zeros in front')
  const width = partial === undefined ? tileWidth : Number(partial)
  if (partial !== undefined && width >= tileWidth)
    throw malformed(`a partial tile has a width below ${tileWidth}`)
  return { level: level === 'entries' ? level : Number(level), index: Number(digits), width }
}

/** How many full tiles a tree of `size` has at a level, and how wide the partial one behind them is. */
export function tileWidths(
  size: number,
  level: Tile['level'],
): { readonly full: number; readonly partial: number } {
  const nodes = Math.floor(size / tileWidth ** (level === 'entries' ? 0 : level))
  return { full: Math.floor(nodes / tileWidth), partial: nodes % tileWidth }
}

/** Whether a tree of `size` holds all of the tile. */
export function hasTile({ level, index, width }: Tile, size: number): boolean {
  const { full, partial } = tileWidths(size, level)
  return index < full || (index === full && width <= partial)
}

/** Every tile and bundle that a tree of `size` consists of, bundles last. */
export function* tilesOf(size: number): Generator<Tile> {
  const at = function* (level: Tile['level']): Generator<Tile> {
    const { full, partial } = tileWidths(size, level)
    for (let index = 0; index < full; index += 1) yield { level, index, width: tileWidth }
    if (partial > 0) yield { level, index: full, width: partial }
  }
  for (let level = 0; tileWidth ** level <= size; level += 1) yield* at(level)
  yield* at('entries')
}

/** The bytes of an entry bundle: each leaf behind its length in two bytes, big-endian. */
export function formatEntryBundle(leaves: readonly Uint8Array[]): Uint8Array {
  const bundle = new Uint8Array(leaves.reduce((sum, leaf) => sum + 2 + leaf.length, 0))
  let at = 0
  for (const leaf of leaves) {
    if (leaf.length > entryBytesMax)
      throw new RangeError(`a leaf of ${leaf.length} bytes fits no entry bundle`)
    bundle[at] = leaf.length >> 8
    bundle[at + 1] = leaf.length & 255
    bundle.set(leaf, at + 2)
    at += 2 + leaf.length
  }
  return bundle
}

/** The leaves of an entry bundle of unknown origin; views. @throws EvidenceError PROOF_MALFORMED. */
export function parseEntryBundle(bundle: Uint8Array): readonly Uint8Array[] {
  const leaves: Uint8Array[] = []
  for (let at = 0; at < bundle.length;) {
    const end = at + 2 + (bundle[at] ?? 0) * 256 + (bundle[at + 1] ?? 0)
    if (at + 2 > bundle.length || end > bundle.length)
      throw new EvidenceError('PROOF_MALFORMED', 'the entry bundle ends within a leaf')
    if (leaves.length === tileWidth)
      throw new EvidenceError(
        'PROOF_MALFORMED',
        `an entry bundle holds at most ${tileWidth} leaves`,
      )
    leaves.push(bundle.subarray(at + 2, end))
    at = end
  }
  return leaves
}

/**
 * The bytes of a tile that a published checkpoint covers. They never change, so they may be kept for ever.
 *
 * @throws EvidenceError NOT_FOUND for what no published checkpoint covers.
 */
export async function readTile(
  source: TileSource & Pick<ProofSource, 'checkpoint'>,
  tile: Tile,
): Promise<Uint8Array> {
  const { size } = source.checkpoint()
  if (!hasTile(tile, size))
    throw new EvidenceError(
      'NOT_FOUND',
      `there is no ${formatTilePath(tile)} in a published tree of ${size} leaves`,
    )
  if (tile.level !== 'entries') return source.hashTile(tile.level, tile.index, tile.width)
  return formatEntryBundle(await source.leaves(tile.index * tileWidth, tile.width))
}

/** The hashes in a hash tile; views. @throws EvidenceError PROOF_MALFORMED. */
export function parseHashTile(tile: Uint8Array): readonly Uint8Array[] {
  const width = tile.length / hashBytes
  if (!Number.isInteger(width) || width < 1 || width > tileWidth)
    throw new EvidenceError('PROOF_MALFORMED', `a hash tile of ${tile.length} bytes is none`)
  return Array.from({ length: width }, (_, at) =>
    tile.subarray(at * hashBytes, (at + 1) * hashBytes),
  )
}
