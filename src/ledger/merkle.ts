import { EvidenceError } from '../contracts/errors.js'
import { concatBytes, equalBytes, hexOf } from './encoding.js'

/** SHA-256, synchronous; `node:crypto` on the server, `@noble/hashes` in the browser. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

/** Leaves `[start, end)` of the tree, hashed as one subtree. */
export interface Subtree {
  readonly start: number
  readonly end: number
}

/** The longest proof that a tree of 2^63 leaves needs, and all that C2SP formats carry. */
export const proofHashesMax = 63

const leafMark = Uint8Array.of(0)
const hashBytes = 32
/** What an inner node hashes: its mark and two hashes. One for all, because hashing does not wait. */
const node = new Uint8Array(1 + 2 * hashBytes).fill(1, 0, 1)

/** RFC 6962 hash of one leaf. */
export const leafHash = (sha256: Sha256, leaf: Uint8Array): Uint8Array =>
  sha256(concatBytes(leafMark, leaf))

/** RFC 6962 hash of an inner node. @throws EvidenceError PROOF_MISMATCH when one is no hash. */
export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length !== hashBytes || right.length !== hashBytes)
    throw mismatch(`a hash of the tree has ${hashBytes} bytes`)
  node.set(left, 1)
  node.set(right, 1 + hashBytes)
  return sha256(node)
}

/** The largest power of two strictly below `size`: where RFC 6962 splits a tree of two leaves or more. */
export function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

/** RFC 6962 root of the tree over these leaf hashes. */
export function root(sha256: Sha256, leafHashes: readonly Uint8Array[]): Uint8Array {
  const [first] = leafHashes
  if (first === undefined) return sha256(new Uint8Array(0))
  if (leafHashes.length === 1) return first
  const split = splitOf(leafHashes.length)
  return nodeHash(
    sha256,
    root(sha256, leafHashes.slice(0, split)),
    root(sha256, leafHashes.slice(split)),
  )
}

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0
const mismatch = (reason: string, details: Record<string, unknown> = {}) =>
  new EvidenceError('PROOF_MISMATCH', reason, { details })

/** The subtrees whose hashes prove `index` in a tree of `size`, sibling first. @throws EvidenceError TREE_RANGE. */
export function inclusionSubtrees(index: number, size: number): readonly Subtree[] {
  if (!isCount(index) || !isCount(size) || index >= size) {
    throw new EvidenceError('TREE_RANGE', `there is no leaf ${index} in a tree of ${size}`)
  }
  const path: Subtree[] = []
  let start = 0
  let end = size
  while (end - start > 1) {
    const middle = start + splitOf(end - start)
    path.push(index < middle ? { start: middle, end } : { start, end: middle })
    if (index < middle) end = middle
    else start = middle
  }
  return path.reverse()
}

/** The subtrees whose hashes prove that the tree of `to` extends the tree of `from`. @throws EvidenceError TREE_RANGE. */
export function consistencySubtrees(from: number, to: number): readonly Subtree[] {
  if (!isCount(from) || !isCount(to) || from < 1 || from > to) {
    throw new EvidenceError(
      'TREE_RANGE',
      `no consistency proof leads from size ${from} to size ${to}`,
    )
  }
  const path: Subtree[] = []
  let start = 0
  let end = to
  while (end !== from) {
    const middle = start + splitOf(end - start)
    path.push(from <= middle ? { start: middle, end } : { start, end: middle })
    if (from <= middle) end = middle
    else start = middle
  }
  // A verifier who holds the older root knows this subtree only when it is that whole tree.
  if (start > 0) path.push({ start, end })
  return path.reverse()
}

/** The root that an inclusion path leads to. @throws EvidenceError PROOF_MISMATCH when its length fits no such tree. */
export function rootOfInclusion(
  sha256: Sha256,
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
): Uint8Array {
  if (!isCount(index) || !isCount(size) || index >= size) {
    throw mismatch(`the index ${index} is not below the tree size ${size}`)
  }
  let place = index
  let last = size - 1
  let hash = leaf
  for (const sibling of path) {
    if (last === 0) throw mismatch(`the inclusion path has too many hashes for a tree of ${size}`)
    if (place % 2 === 1 || place === last) {
      hash = nodeHash(sha256, sibling, hash)
      while (place % 2 === 0 && place !== 0) {
        place /= 2
        last = Math.floor(last / 2)
      }
    } else {
      hash = nodeHash(sha256, hash, sibling)
    }
    place = Math.floor(place / 2)
    last = Math.floor(last / 2)
  }
  if (last !== 0) throw mismatch(`the inclusion path has too few hashes for a tree of ${size}`)
  return hash
}

/** Checks RFC 9162 §2.1.3.2. @throws EvidenceError PROOF_MISMATCH with the reason. */
export function verifyInclusion(
  sha256: Sha256,
  proof: {
    readonly leafHash: Uint8Array
    readonly index: number
    readonly size: number
    readonly path: readonly Uint8Array[]
    readonly root: Uint8Array
  },
): void {
  const computed = rootOfInclusion(sha256, proof.leafHash, proof.index, proof.size, proof.path)
  if (!equalBytes(computed, proof.root)) {
    throw mismatch('the inclusion path does not lead from the leaf to the root of the checkpoint', {
      computed: hexOf(computed),
      expected: hexOf(proof.root),
    })
  }
}

/** Checks RFC 9162 §2.1.4.2. @throws EvidenceError PROOF_MISMATCH with the reason. */
export function verifyConsistency(
  sha256: Sha256,
  proof: {
    readonly from: number
    readonly to: number
    readonly fromRoot: Uint8Array
    readonly toRoot: Uint8Array
    readonly path: readonly Uint8Array[]
  },
): void {
  const { from, to, fromRoot, toRoot, path } = proof
  if (!isCount(from) || !isCount(to) || from > to)
    throw mismatch(`a tree of ${to} cannot extend a tree of ${from}`)
  if (from === to || from === 0) {
    if (path.length > 0) throw mismatch('the consistency proof must be empty for these sizes')
    if (from === to && !equalBytes(fromRoot, toRoot))
      throw mismatch(`two different roots are given for size ${from}`)
    return
  }
  const isPowerOfTwo =
    Number.isInteger(Math.log2(from)) && 2 ** Math.round(Math.log2(from)) === from
  const [first, ...rest] = isPowerOfTwo ? [fromRoot, ...path] : path
  if (first === undefined || path.length === 0) throw mismatch('the consistency proof is empty')
  const ends = foldConsistency(sha256, from, to, first, rest)
  if (!equalBytes(ends.from, fromRoot))
    throw mismatch(`the consistency proof does not lead to the root of size ${from}`)
  if (!equalBytes(ends.to, toRoot))
    throw mismatch(`the consistency proof does not lead to the root of size ${to}`)
}

function foldConsistency(
  sha256: Sha256,
  from: number,
  to: number,
  first: Uint8Array,
  rest: readonly Uint8Array[],
) {
  let place = from - 1
  let last = to - 1
  const up = () => {
    place = Math.floor(place / 2)
    last = Math.floor(last / 2)
  }
  while (place % 2 === 1) up()
  let older = first
  let newer = first
  for (const hash of rest) {
    if (last === 0) throw mismatch('the consistency proof has too many hashes')
    if (place % 2 === 1 || place === last) {
      older = nodeHash(sha256, hash, older)
      newer = nodeHash(sha256, hash, newer)
      while (place % 2 === 0 && place !== 0) up()
    } else {
      newer = nodeHash(sha256, newer, hash)
    }
    up()
  }
  if (last !== 0) throw mismatch('the consistency proof has too few hashes')
  return { from: older, to: newer }
}
