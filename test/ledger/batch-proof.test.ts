import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { createTreeHashes } from '../../src/ledger/adapters/tree-hashes.js'
import {
  batchLeavesMax,
  batchSubtrees,
  verifyBatchInclusion,
} from '../../src/ledger/batch-proof.js'
import { bytesOfHex, hexOf, utf8 } from '../../src/ledger/encoding.js'
import { inclusionSubtrees, leafHash, root } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'

const { sha256 } = nodeCrypto
const vectorsOf = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../../schemas/vectors', name), 'utf8'))
// The files stand beside the code and have these shapes.
const rfc6962 = vectorsOf('rfc6962.json') as { leaves: string[]; rootsBySize: string[] }
const batches = vectorsOf('batch-proof.json') as {
  cases: { size: number; positions: number[]; hashes: string[] }[]
}

const sizeMax = 70
const all = Array.from({ length: sizeMax }, (_, i) => leafHash(sha256, utf8(`leaf ${i}`)))
const hashAt = (index: number): Uint8Array => all[index] ?? new Uint8Array()
const tree = createTreeHashes()
for (const hash of all) tree.append(hash)

const proofOf = async (indexes: readonly number[], size: number) => ({
  leaves: indexes.map((index) => ({ index, leafHash: hashAt(index) })),
  size,
  hashes: await tree.batch(indexes, size),
  root: root(sha256, all.slice(0, size)),
})

/** A tree size and some of its leaves, ascending. */
const asked = fc.integer({ min: 1, max: sizeMax }).chain((size) =>
  fc.tuple(
    fc.constant(size),
    fc.uniqueArray(fc.nat(size - 1), { minLength: 1 }).map((some) => some.sort((a, b) => a - b)),
  ),
)

t.test('the proofs of the vectors come out and verify', async (t) => {
  const leaves = rfc6962.leaves.map((leaf) => leafHash(sha256, bytesOfHex(leaf)))
  const grown = createTreeHashes()
  for (const leaf of leaves) grown.append(leaf)

  for (const { size, positions, hashes } of batches.cases) {
    t.strictSame((await grown.batch(positions, size)).map(hexOf), hashes)
    verifyBatchInclusion(sha256, {
      leaves: positions.map((index) => ({ index, leafHash: leaves[index] ?? new Uint8Array() })),
      size,
      hashes: hashes.map(bytesOfHex),
      root: bytesOfHex(rfc6962.rootsBySize[size] ?? ''),
    })
  }
})

t.test('every batch verifies, and is no larger than the paths it replaces', async (t) => {
  await fc.assert(
    fc.asyncProperty(asked, async ([size, indexes]) => {
      const proof = await proofOf(indexes, size)
      verifyBatchInclusion(sha256, proof)
      const paths = new Set(
        indexes.flatMap((index) =>
          inclusionSubtrees(index, size).map(({ start, end }) => `${start}-${end}`),
        ),
      )
      return proof.hashes.length <= paths.size
    }),
  )
  t.equal(
    (
      await tree.batch(
        Array.from({ length: 64 }, (_, i) => i),
        64,
      )
    ).length,
    0,
  )
  t.strictSame((await tree.batch([5], 70)).length, (await tree.inclusion(5, 70)).length)
})

t.test('no batch verifies with anything changed, added, left out or moved', async (t) => {
  const { verify, refused } = {
    verify: (proof: Parameters<typeof verifyBatchInclusion>[1]) =>
      verifyBatchInclusion(sha256, proof),
    refused: { code: 'PROOF_MISMATCH' },
  }
  const flipped = (hash: Uint8Array) => hash.map((byte, i) => (i === 7 ? byte ^ 16 : byte))
  await fc.assert(
    fc.asyncProperty(asked, fc.nat(), async ([size, indexes], chosen) => {
      const proof = await proofOf(indexes, size)
      const { leaves, hashes } = proof
      const at = chosen % (leaves.length + hashes.length)
      const changed = {
        ...proof,
        leaves: leaves.map((leaf, i) =>
          i === at ? { ...leaf, leafHash: flipped(leaf.leafHash) } : leaf,
        ),
        hashes: hashes.map((hash, i) => (i + leaves.length === at ? flipped(hash) : hash)),
      }
      t.throws(() => verify(changed), refused)
      t.throws(() => verify({ ...proof, hashes: [...hashes, hashAt(0)] }), refused)
      if (hashes.length > 0) t.throws(() => verify({ ...proof, hashes: hashes.slice(1) }), refused)
      const moved = leaves.map((leaf, i) => ({
        ...leaf,
        index: leaf.index + (i === leaves.length - 1 ? 1 : 0),
      }))
      t.throws(() => verify({ ...proof, leaves: moved }), refused)
      t.throws(() => verify({ ...proof, leaves: [] }), refused)
      if (leaves.length > 1)
        t.throws(() => verify({ ...proof, leaves: leaves.toReversed() }), refused)
    }),
    { numRuns: 50 },
  )
})

t.test('what is no batch of leaves of the tree is refused', async (t) => {
  for (const [indexes, size] of [
    [[], 3],
    [[0, 0], 3],
    [[1, 0], 3],
    [[3], 3],
    [[-1], 3],
    [[0.5], 3],
    [[Number.NaN], 3],
    [[0], 0],
    [[0], Number.POSITIVE_INFINITY],
    [Array.from({ length: batchLeavesMax + 1 }, (_, i) => i), 40_000],
  ] as const)
    t.throws(() => batchSubtrees(indexes, size), { code: 'TREE_RANGE' })
  await t.rejects(tree.batch([0], sizeMax + 1), { code: 'TREE_RANGE' })
})
