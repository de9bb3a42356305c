import { hash } from 'node:crypto'
import { EvidenceError } from '../../contracts/errors.js'
import { batchSubtrees } from '../batch-proof.js'
import { consistencySubtrees, inclusionSubtrees, splitOf, type Subtree } from '../merkle.js'
import { tileWidth } from '../tiles.js'
import { type HashList, hashList } from './growing-list.js'

/**
 * The RFC 6962 tree as hashes of its complete subtrees: level 0 holds the leaf hashes, level n
 * the subtrees of 2^n leaves. Appending costs one node hash on average, a root or proof O(log n).
 */
export interface TreeHashes {
  readonly size: number
  append(leafHash: Uint8Array): void
  leaf(index: number): Uint8Array
  /** @throws EvidenceError TREE_RANGE. */
  rootOf(size: number): Uint8Array
  /** Sibling first. @throws EvidenceError TREE_RANGE. */
  inclusion(index: number, size: number): readonly Uint8Array[]
  /** What `batchSubtrees` names, left to right. @throws EvidenceError TREE_RANGE. */
  batch(indexes: readonly number[], size: number): readonly Uint8Array[]
  /** @throws EvidenceError TREE_RANGE. */
  consistency(from: number, to: number): readonly Uint8Array[]
  /** `width` complete subtrees of 256^level leaves, from subtree `index` × 256 on. @throws EvidenceError TREE_RANGE. */
  hashTile(level: number, index: number, width: number): Uint8Array
}

export function createTreeHashes(): TreeHashes {
  const levels: HashList[] = [hashList()]
  const leaves = levels[0] ?? hashList()
  const node = Buffer.alloc(65, 1)
  const nodeOf = (left: Uint8Array, right: Uint8Array): Uint8Array => {
    node.set(left, 1)
    node.set(right, 33)
    return hash('sha256', node, 'buffer')
  }

  const hashOf = ({ start, end }: Subtree): Uint8Array => {
    const width = end - start
    const level = Math.log2(width)
    if (Number.isInteger(level) && start % width === 0) {
      const complete = levels[level]
      if (complete !== undefined) return Uint8Array.from(complete.at(start / width))
    }
    const middle = start + splitOf(width)
    return nodeOf(hashOf({ start, end: middle }), hashOf({ start: middle, end }))
  }

  const checkSize = (size: number) => {
    if (!Number.isSafeInteger(size) || size < 0 || size > leaves.length) {
      throw new EvidenceError(
        'TREE_RANGE',
        `the ledger has ${leaves.length} leaves: there is no tree of ${size}`,
      )
    }
  }

  return {
    get size() {
      return leaves.length
    },
    append(leafHash) {
      leaves.push(leafHash)
      let complete = leaves.length
      for (let level = 0; complete % 2 === 0; level += 1, complete /= 2) {
        const below = levels[level]
        if (below === undefined) throw new RangeError('a level of the tree is missing')
        const above = levels[level + 1] ?? (levels[level + 1] = hashList())
        above.push(nodeOf(below.at(complete - 2), below.at(complete - 1)))
      }
    },
    leaf: (index) => Uint8Array.from(leaves.at(index)),
    rootOf(size) {
      checkSize(size)
      return size === 0 ? hash('sha256', '', 'buffer') : hashOf({ start: 0, end: size })
    },
    inclusion(index, size) {
      checkSize(size)
      return inclusionSubtrees(index, size).map(hashOf)
    },
    batch(indexes, size) {
      checkSize(size)
      return batchSubtrees(indexes, size).map(hashOf)
    },
    consistency(from, to) {
      checkSize(to)
      return consistencySubtrees(from, to).map(hashOf)
    },
    hashTile(level, index, width) {
      const nodes = levels[8 * level]
      const first = index * tileWidth
      if (nodes === undefined || first + width > nodes.length) {
        throw new EvidenceError(
          'TREE_RANGE',
          `the ledger has ${leaves.length} leaves: tile ${index} of level ${level} is not ${width} wide`,
        )
      }
      const tile = new Uint8Array(width * 32)
      for (let at = 0; at < width; at += 1) tile.set(nodes.at(first + at), at * 32)
      return tile
    },
  }
}
