import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createTreeHashes } from '../../src/ledger/adapters/tree-hashes.js'
import { bytesOfHex, hexOf, utf8 } from '../../src/ledger/encoding.js'
import {
  consistencySubtrees,
  inclusionSubtrees,
  leafHash,
  root,
  type Subtree,
  verifyConsistency,
  verifyInclusion,
} from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'

const { sha256 } = nodeCrypto
const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../schemas/vectors/rfc6962.json'), 'utf8'),
  // The file stands beside the code and has this shape.
) as { leaves: string[]; rootsBySize: string[] }

const sizeMax = 40
const leaves = Array.from({ length: sizeMax }, (_, i) => leafHash(sha256, utf8(`leaf ${i}`)))
const roots = Array.from({ length: sizeMax + 1 }, (_, size) => root(sha256, leaves.slice(0, size)))
const rootOf = (size: number): Uint8Array => roots[size] ?? new Uint8Array()
const hashOf = ({ start, end }: Subtree) => root(sha256, leaves.slice(start, end))
const flipped = (hash: Uint8Array | undefined) =>
  Uint8Array.from(hash ?? [], (byte, i) => (i === 7 ? byte ^ 16 : byte))

t.test(
  'the roots of RFC 6962 come out, from the definition and from complete subtrees',
  async (t) => {
    const tree = createTreeHashes()
    const hashes = vectors.leaves.map((leaf) => leafHash(sha256, bytesOfHex(leaf)))

    for (const [size, expected] of vectors.rootsBySize.entries()) {
      t.equal(hexOf(root(sha256, hashes.slice(0, size))), expected)
      t.equal(hexOf(tree.root()), expected)
      t.equal(hexOf(await tree.rootOf(size)), expected)
      const next = hashes[size]
      if (next !== undefined) tree.append(next)
    }
  },
)

t.test('every inclusion proof verifies, and none that was changed does', async (t) => {
  const tree = createTreeHashes()
  leaves.forEach((leaf) => tree.append(leaf))
  for (let size = 1; size <= sizeMax; size += 1) {
    for (let index = 0; index < size; index += 1) {
      const path = inclusionSubtrees(index, size).map(hashOf)
      t.strictSame((await tree.inclusion(index, size)).map(hexOf), path.map(hexOf))
      const proof = {
        leafHash: leaves[index] ?? new Uint8Array(),
        index,
        size,
        path,
        root: rootOf(size),
      }
      verifyInclusion(sha256, proof)
      const refused = (changed: Partial<typeof proof>) => {
        t.throws(() => verifyInclusion(sha256, { ...proof, ...changed }), {
          code: 'PROOF_MISMATCH',
        })
      }
      refused({ leafHash: flipped(leaves[index]) })
      refused({ root: flipped(rootOf(size)) })
      refused({ path: [...path, rootOf(1)] })
      refused({ index: size })
      if (path.length > 0) {
        refused({ path: path.slice(1) })
        refused({ path: [flipped(path[0]), ...path.slice(1)] })
        refused({ index: index === 0 ? 1 : index - 1 })
      }
    }
  }
})

t.test('every consistency proof verifies, and none that was changed does', async (t) => {
  const tree = createTreeHashes()
  leaves.forEach((leaf) => tree.append(leaf))
  for (let to = 1; to <= sizeMax; to += 1) {
    for (let from = 1; from <= to; from += 1) {
      const path = consistencySubtrees(from, to).map(hashOf)
      t.strictSame((await tree.consistency(from, to)).map(hexOf), path.map(hexOf))
      const proof = { from, to, fromRoot: rootOf(from), toRoot: rootOf(to), path }
      verifyConsistency(sha256, proof)
      const refused = (changed: Partial<typeof proof>) => {
        t.throws(() => verifyConsistency(sha256, { ...proof, ...changed }), {
          code: 'PROOF_MISMATCH',
        })
      }
      refused({ toRoot: flipped(rootOf(to)) })
      refused({ fromRoot: flipped(rootOf(from)) })
      refused({ path: [...path, rootOf(1)] })
      if (path.length > 0) {
        refused({ path: path.slice(1) })
        refused({ path: [...path.slice(0, -1), flipped(path.at(-1))] })
      }
    }
  }
})

t.test('what no tree has is out of range, and indexes beyond 32 bits are exact', async (t) => {
  t.throws(() => inclusionSubtrees(3, 3), { code: 'TREE_RANGE' })
  t.throws(() => inclusionSubtrees(-1, 3), { code: 'TREE_RANGE' })
  t.throws(() => consistencySubtrees(0, 3), { code: 'TREE_RANGE' })
  t.throws(() => consistencySubtrees(4, 3), { code: 'TREE_RANGE' })
  await t.rejects(createTreeHashes().inclusion(0, 1), { code: 'TREE_RANGE' })

  // A tree of 2^40 + 1 leaves: the last leaf hangs beside one complete subtree.
  const left = leafHash(sha256, utf8('stands for a subtree of 2^40 leaves'))
  const leaf = leafHash(sha256, utf8('last'))
  t.strictSame(inclusionSubtrees(2 ** 40, 2 ** 40 + 1), [{ start: 0, end: 2 ** 40 }])
  verifyInclusion(sha256, {
    leafHash: leaf,
    index: 2 ** 40,
    size: 2 ** 40 + 1,
    path: [left],
    root: root(sha256, [left, leaf]),
  })
  verifyConsistency(sha256, {
    from: 2 ** 40,
    to: 2 ** 40 + 1,
    fromRoot: left,
    toRoot: root(sha256, [left, leaf]),
    path: [leaf],
  })
})
