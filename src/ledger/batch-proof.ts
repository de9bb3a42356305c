import { EvidenceError } from '../contracts/errors.js'
import { equalBytes, hexOf } from './encoding.js'
import { nodeHash, type Sha256, splitOf, type Subtree } from './merkle.js'

/** Leaves that one batch proof is about: those of a completeness proof, and those since its seal. */
export const batchLeavesMax = 32_768

/** A leaf that a batch proof is about. */
export interface ProvenLeaf {
  readonly index: number
  readonly leafHash: Uint8Array
}

/**
 * The subtrees whose hashes prove all of these leaves at once in a tree of `size`, from left to right:
 * the largest ones that hold none of the leaves. Nodes that several paths share, and nodes that can be
 * computed from the leaves, are not there.
 *
 * @param indexes ascending, each once.
 * @throws EvidenceError TREE_RANGE.
 */
export function batchSubtrees(indexes: readonly number[], size: number): readonly Subtree[] {
  if (!Number.isSafeInteger(size) || !areLeaves(indexes, size)) {
    throw new EvidenceError(
      'TREE_RANGE',
      `a batch proof is about 1 to ${batchLeavesMax} different leaves of a tree, ascending; the tree has ${size}`,
    )
  }
  const found: Subtree[] = []
  let next = 0
  const walk = (start: number, end: number): void => {
    if ((indexes[next] ?? size) >= end) found.push({ start, end })
    else if (end - start === 1) next += 1
    else {
      const middle = start + splitOf(end - start)
      walk(start, middle)
      walk(middle, end)
    }
  }
  walk(0, size)
  return found
}

const areLeaves = (indexes: readonly number[], size: number): boolean =>
  indexes.length > 0 &&
  indexes.length <= batchLeavesMax &&
  indexes.every(
    (index, at) => Number.isSafeInteger(index) && index > (indexes[at - 1] ?? -1) && index < size,
  )

/**
 * Checks that all of these leaves stand in the tree of the root, each at its index.
 *
 * @throws EvidenceError PROOF_MISMATCH with the reason.
 */
export function verifyBatchInclusion(
  sha256: Sha256,
  proof: {
    /** Ascending by index, each once. */
    readonly leaves: readonly ProvenLeaf[]
    readonly size: number
    readonly hashes: readonly Uint8Array[]
    readonly root: Uint8Array
  },
): void {
  const { leaves, size, hashes, root } = proof
  const mismatch = (reason: string, details: Record<string, unknown> = {}) =>
    new EvidenceError('PROOF_MISMATCH', reason, { details })
  const indexes = leaves.map(({ index }) => index)
  if (!Number.isSafeInteger(size) || !areLeaves(indexes, size))
    throw mismatch(`the leaves are not ascending, different and below the tree size ${size}`)
  let nextLeaf = 0
  let nextHash = 0
  const hashOf = (start: number, end: number): Uint8Array => {
    const leaf = leaves[nextLeaf]
    if (leaf === undefined || leaf.index >= end) {
      const given = hashes[nextHash++]
      if (given === undefined) throw mismatch(`the proof has too few hashes for a tree of ${size}`)
      return given
    }
    if (end - start === 1) {
      nextLeaf += 1
      return leaf.leafHash
    }
    const middle = start + splitOf(end - start)
    const left = hashOf(start, middle)
    return nodeHash(sha256, left, hashOf(middle, end))
  }
  const computed = hashOf(0, size)
  if (nextHash !== hashes.length)
    throw mismatch(`the proof has too many hashes for a tree of ${size}`)
  if (!equalBytes(computed, root)) {
    throw mismatch('the leaves and hashes do not lead to the root of the checkpoint', {
      computed: hexOf(computed),
      expected: hexOf(root),
    })
  }
}
