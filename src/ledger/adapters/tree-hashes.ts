import { hash } from 'node:crypto'
import { EvidenceError } from '../../contracts/errors.js'
import { batchSubtrees } from '../batch-proof.js'
import { consistencySubtrees, inclusionSubtrees, splitOf, type Subtree } from '../merkle.js'
import { nodeCrypto } from '../node-crypto.js'
import { boundedCache } from './bounded-cache.js'

const hashBytes = 32
const width = 256
const tileLevels = 8
/** Full tiles with all their inner nodes, 16 KB each. */
const cachedTilesMax = 512
/** Levels of a tree that a number can count: 256^7 is beyond 2^53. */
const levelsMax = 7

/** Where full tiles are read that are not in memory any more. */
export interface TileReader {
  read(level: number, index: number): Promise<Uint8Array>
}

/** The right edge of a level: how many full tiles stand before it, and the hashes behind them. */
export interface LevelEdge {
  readonly full: number
  readonly hashes: Uint8Array
}

/** What of the tree must be written so that it can be opened at this size again. */
export interface TreeWrite {
  readonly size: number
  readonly edges: readonly LevelEdge[]
  /** Full tiles of each level that are not on disk yet. */
  readonly tiles: readonly { readonly first: number; readonly tiles: readonly Uint8Array[] }[]
}

/**
 * The RFC 6962 tree as C2SP hash tiles: level 0 holds the leaf hashes, level n+1 the roots of the
 * full tiles of level n, 256 to a tile. In memory are the right edge, full tiles that are not yet on
 * disk, and a bounded number of others.
 */
export interface TreeHashes {
  readonly size: number
  /** Takes the hashes of the next leaves; nodes are hashed when somebody asks for them, or by `fold`. */
  append(leafHashes: Uint8Array): void
  /** Hashes the nodes of full tiles: for a moment in which nobody waits. */
  fold(): void
  leaf(index: number): Uint8Array | Promise<Uint8Array>
  /** The root at the present size, for which nothing is read. */
  root(): Uint8Array
  /** @throws EvidenceError TREE_RANGE. */
  rootOf(size: number): Promise<Uint8Array>
  /** Sibling first. @throws EvidenceError TREE_RANGE. */
  inclusion(index: number, size: number): Promise<readonly Uint8Array[]>
  /** What `batchSubtrees` names, left to right. @throws EvidenceError TREE_RANGE. */
  batch(indexes: readonly number[], size: number): Promise<readonly Uint8Array[]>
  /** @throws EvidenceError TREE_RANGE. */
  consistency(from: number, to: number): Promise<readonly Uint8Array[]>
  /** `width` complete subtrees of 256^level leaves, from subtree `index` × 256 on. @throws EvidenceError TREE_RANGE. */
  hashTile(level: number, index: number, width: number): Promise<Uint8Array>
  /** What must be written to open the tree at its present size. */
  toWrite(): TreeWrite
  /** Those tiles are on disk: they need not stay in memory. */
  written(write: TreeWrite): void
}

/** A tile with its inner nodes, hashed as far as somebody asked: 256 hashes, the 128 above them, up to the root. */
interface TileNodes {
  readonly nodes: Buffer
  used: number
  /** How many nodes of each row are there. */
  readonly built: number[]
}

interface Level {
  full: number
  /** Full tiles below this one are on disk. */
  onDisk: number
  edge: TileNodes
  readonly unwritten: Map<number, TileNodes>
}

const emptyTile = (): TileNodes => ({
  nodes: Buffer.alloc((2 * width - 1) * hashBytes),
  used: 0,
  built: new Array<number>(tileLevels + 1).fill(0),
})
const emptyLevel = (): Level => ({ full: 0, onDisk: 0, edge: emptyTile(), unwritten: new Map() })

function tileFrom(hashes: Uint8Array): TileNodes {
  const tile = emptyTile()
  tile.nodes.set(hashes)
  tile.used = hashes.length / hashBytes
  return tile
}

const hashesIn = ({ nodes, used }: TileNodes): Uint8Array => nodes.subarray(0, used * hashBytes)

const emptyRoot = nodeCrypto.sha256(new Uint8Array(0))

const node = Buffer.alloc(1 + 2 * hashBytes, 1)
function nodeOf(left: Uint8Array, right: Uint8Array): Uint8Array {
  node.set(left, 1)
  node.set(right, 1 + hashBytes)
  return nodeCrypto.sha256(node)
}

const rowAt = (bits: number): number => 2 * width - ((2 * width) >> bits)

/** The root of the complete subtree `index` of 2^bits hashes; a view. */
function nodeIn(tile: TileNodes, bits: number, index: number): Uint8Array {
  const { nodes, used, built } = tile
  for (let row = 1; row <= bits; row += 1) {
    const below = rowAt(row - 1)
    for (let at = built[row] ?? 0; at < used >> row; at += 1) {
      const pair = (below + 2 * at) * hashBytes
      node.set(nodes.subarray(pair, pair + 2 * hashBytes), 1)
      nodes.write(hash('sha256', node, 'binary'), (rowAt(row) + at) * hashBytes, 'latin1')
      built[row] = at + 1
    }
  }
  const at = (rowAt(bits) + index) * hashBytes
  return nodes.subarray(at, at + hashBytes)
}

export function createTreeHashes(
  source: TileReader = { read: () => Promise.reject(new RangeError('no tile is on disk')) },
  edges: readonly LevelEdge[] = [],
): TreeHashes {
  const levels = edges.map(({ full, hashes }) => ({
    ...emptyLevel(),
    full,
    onDisk: full,
    edge: tileFrom(hashes),
  }))
  const leaves = (levels[0] ??= emptyLevel())
  const cache = boundedCache<string, TileNodes>(cachedTilesMax)
  const owed: { readonly level: number; readonly tile: TileNodes }[] = []

  /** Appends hashes to a level, tile by tile. */
  const push = (number: number, hashes: Uint8Array) => {
    const level = (levels[number] ??= emptyLevel())
    for (let from = 0; from < hashes.length;) {
      const room = (width - level.edge.used) * hashBytes
      const some = hashes.subarray(from, from + room)
      level.edge.nodes.set(some, level.edge.used * hashBytes)
      level.edge.used += some.length / hashBytes
      from += some.length
      if (level.edge.used < width) continue
      owed.push({ level: number, tile: level.edge })
      level.unwritten.set(level.full, level.edge)
      level.full += 1
      level.edge = emptyTile()
    }
  }
  const fold = () => {
    for (let next = owed.shift(); next !== undefined; next = owed.shift())
      push(next.level + 1, nodeIn(next.tile, tileLevels, 0))
  }
  const sizeNow = () => leaves.full * width + leaves.edge.used
  const tileAt = (number: number, index: number): TileNodes | Promise<TileNodes> => {
    const level = levels[number]
    const key = `${number}/${index}`
    const known =
      level?.full === index ? level.edge : (level?.unwritten.get(index) ?? cache.get(key))
    if (known !== undefined) return known
    return source.read(number, index).then((hashes) => {
      const tile = tileFrom(hashes)
      cache.set(key, tile)
      return tile
    })
  }

  /** The root of the complete subtree `index` of 2^bits hashes of a level. */
  const inner = async (number: number, bits: number, index: number): Promise<Uint8Array> => {
    const perTile = width >> bits
    const tile = Math.floor(index / perTile)
    return nodeIn(await tileAt(number, tile), bits, index - tile * perTile).slice()
  }

  /** The same at the end of the tree: every subtree that makes up its root lies in an edge. */
  const rootFrom = (start: number, end: number): Uint8Array => {
    const span = end - start
    const bits = Math.floor(Math.log2(span))
    if (2 ** bits === span) {
      const level = levels[Math.floor(bits / tileLevels)]
      const row = bits % tileLevels
      const perTile = width >> row
      if (level === undefined) throw new RangeError(`the tree has no subtree of ${span}`)
      return nodeIn(level.edge, row, start / span - level.full * perTile)
    }
    const middle = start + splitOf(span)
    return nodeOf(rootFrom(start, middle), rootFrom(middle, end))
  }

  const hashOf = async ({ start, end }: Subtree): Promise<Uint8Array> => {
    const span = end - start
    const bits = Math.log2(span)
    if (Number.isInteger(bits) && 2 ** bits === span && start % span === 0) {
      const level = Math.floor(bits / tileLevels)
      return inner(level, bits % tileLevels, start / span)
    }
    const middle = start + splitOf(span)
    const left = await hashOf({ start, end: middle })
    return nodeOf(left, await hashOf({ start: middle, end }))
  }
  const hashesOf = async (subtrees: readonly Subtree[]) => {
    fold()
    const hashes: Uint8Array[] = []
    for (const subtree of subtrees) hashes.push(await hashOf(subtree))
    return hashes
  }
  const checkSize = (size: number) => {
    if (!Number.isSafeInteger(size) || size < 0 || size > sizeNow()) {
      throw new EvidenceError(
        'TREE_RANGE',
        `the ledger has ${sizeNow()} leaves: there is no tree of ${size}`,
      )
    }
  }

  return {
    get size() {
      return sizeNow()
    },
    append: (leafHashes) => push(0, leafHashes),
    fold,
    leaf(index) {
      if (index >= sizeNow()) throw new RangeError(`there is no leaf ${index}`)
      const at = index % width
      const tile = tileAt(0, Math.floor(index / width))
      return tile instanceof Promise
        ? tile.then((read) => nodeIn(read, 0, at).slice())
        : nodeIn(tile, 0, at).slice()
    },
    root() {
      fold()
      const size = sizeNow()
      return size === 0 ? emptyRoot : Uint8Array.from(rootFrom(0, size))
    },
    async rootOf(size) {
      checkSize(size)
      if (size === 0) return emptyRoot
      fold()
      return hashOf({ start: 0, end: size })
    },
    async inclusion(index, size) {
      checkSize(size)
      return hashesOf(inclusionSubtrees(index, size))
    },
    async batch(indexes, size) {
      checkSize(size)
      return hashesOf(batchSubtrees(indexes, size))
    },
    async consistency(from, to) {
      checkSize(to)
      return hashesOf(consistencySubtrees(from, to))
    },
    async hashTile(number, index, count) {
      fold()
      const level = levels[number]
      if (
        level === undefined ||
        index > level.full ||
        (index === level.full && count > level.edge.used) ||
        count > width
      )
        throw new EvidenceError(
          'TREE_RANGE',
          `the ledger has ${sizeNow()} leaves: tile ${index} of level ${number} is not ${count} wide`,
        )
      return hashesIn(await tileAt(number, index)).slice(0, count * hashBytes)
    },
    toWrite() {
      fold()
      return {
        size: sizeNow(),
        edges: levels.map(({ full, edge }) => ({ full, hashes: hashesIn(edge).slice() })),
        tiles: levels.map(({ onDisk, unwritten }) => ({
          first: onDisk,
          tiles: [...unwritten].sort(([a], [b]) => a - b).map(([, tile]) => hashesIn(tile)),
        })),
      }
    },
    written(write) {
      write.tiles.forEach(({ first, tiles }, number) => {
        const level = levels[number]
        if (level === undefined) throw new RangeError(`the tree has no level ${number}`)
        for (let i = 0; i < tiles.length; i += 1) level.unwritten.delete(first + i)
        level.onDisk = first + tiles.length
      })
    },
  }
}

/** Why edges are not those of a tree of `size` leaves, or undefined. */
export function flawOfEdges(edges: readonly LevelEdge[], size: number): string | undefined {
  for (let number = 0, count = size; number < levelsMax; number += 1) {
    const edge = edges[number] ?? { full: 0, hashes: new Uint8Array() }
    if (
      edge.full !== Math.floor(count / width) ||
      edge.hashes.length !== (count % width) * hashBytes
    )
      return `level ${number} of the tree is not that of ${size} leaves`
    count = edge.full
  }
  return undefined
}
