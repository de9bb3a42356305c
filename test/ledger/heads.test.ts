import { readFile, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { nodeFiles } from '../../src/ledger/adapters/file-port.js'
import { openHeadsStore } from '../../src/ledger/adapters/heads-store.js'
import { bytesOfHex, concatBytes, equalBytes, hexOf, utf8 } from '../../src/ledger/encoding.js'
import {
  bitOf,
  type Head,
  headHash,
  headKey,
  type HeadProof,
  headsRoot,
  proveHead,
  verifyHead,
} from '../../src/ledger/heads.js'
import { createHeadsMap, type HeadLeaf, HeadsDamaged } from '../../src/ledger/heads-map.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { temporaryFolder } from '../support/ledger.js'

const { sha256 } = nodeCrypto
const mismatch = { code: 'PROOF_MISMATCH' }
const zeros = new Uint8Array(32)
const flipped = (bytes: Uint8Array, at = 7) =>
  Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ 16 : byte))

interface Vectors {
  readonly heads: readonly {
    kind: 'stream' | 'type'
    project: string
    name: string
    key: string
    number: string
    leaf_hash: string
    hash: string
  }[]
  readonly roots: readonly string[]
  readonly proofs: readonly {
    key: string
    present: boolean
    siblings: (string | null)[]
    other: { key: string; number: string; leaf_hash: string } | null
  }[]
}
const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../schemas/vectors/heads.json'), 'utf8'),
  // The file stands beside the code and has this shape.
) as Vectors

const headOf = (vector: { key: string; number: string; leaf_hash: string }): Head => ({
  key: bytesOfHex(vector.key),
  number: Number(vector.number),
  leafHash: bytesOfHex(vector.leaf_hash),
})
const written = ({ siblings, other }: HeadProof) => ({
  siblings: siblings.map((hash) => (hash === null ? null : hexOf(hash))),
  other:
    other === null
      ? null
      : {
          key: hexOf(other.key),
          number: String(other.number),
          leaf_hash: hexOf(other.leafHash),
        },
})
const sorted = (heads: readonly Head[]) =>
  [...heads].sort((a, b) => (hexOf(a.key) < hexOf(b.key) ? -1 : 1))

/** The root straight from the definition: all 256 levels, a lone head at whatever depth. */
function naiveRoot(heads: readonly Head[], depth = 0): Uint8Array {
  const [first] = heads
  if (first === undefined) return zeros
  if (heads.length === 1) return headHash(sha256, first)
  const [left, right] = ([0, 1] as const).map((bit) =>
    naiveRoot(
      heads.filter(({ key }) => bitOf(key, depth) === bit),
      depth + 1,
    ),
  )
  return sha256(concatBytes(utf8('fractalops/heads/node/1\0'), left ?? zeros, right ?? zeros))
}

t.test('keys, hashes, roots and proofs of the heads map are those of the vectors', async (t) => {
  const heads: Head[] = []
  t.equal(hexOf(headsRoot(sha256, [])), vectors.roots[0])
  for (const [i, vector] of vectors.heads.entries()) {
    t.equal(hexOf(headKey(sha256, vector.kind, vector.project, vector.name)), vector.key)
    t.equal(hexOf(headHash(sha256, headOf(vector))), vector.hash)
    heads.push(headOf(vector))
    t.equal(hexOf(headsRoot(sha256, sorted(heads))), vectors.roots[i + 1])
  }
  const root = headsRoot(sha256, sorted(heads))
  for (const { key, present, siblings, other } of vectors.proofs) {
    const proof = {
      siblings: siblings.map((hash) => (hash === null ? null : bytesOfHex(hash))),
      other: other === null ? null : headOf(other),
    }
    t.strictSame(written(proveHead(sha256, sorted(heads), bytesOfHex(key))), { siblings, other })
    const head = heads.find((one) => hexOf(one.key) === key) ?? null
    t.equal(head !== null, present)
    verifyHead(sha256, root, bytesOfHex(key), head, proof)
  }
})

t.test(
  'a project and a stream cannot pass for another pair, nor a stream for a type',
  async (t) => {
    const keys = [
      headKey(sha256, 'stream', 'ab', 'c-1'),
      headKey(sha256, 'stream', 'a', 'bc-1'),
      headKey(sha256, 'stream', 'abc', '-1'),
      headKey(sha256, 'type', 'ab', 'c-1'),
    ]
    t.equal(new Set(keys.map(hexOf)).size, keys.length)
  },
)

/** Keys that differ late as well as early, so that ways are long. */
const keyOf = (prefix: number, tail: number) =>
  Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? tail : i < prefix ? 0 : 0xa5))
const someHeads = fc
  .uniqueArray(
    fc.record({
      key: fc.oneof(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.tuple(fc.nat(31), fc.nat(255)).map(([prefix, tail]) => keyOf(prefix, tail)),
      ),
      number: fc.nat(),
      leafHash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    }),
    { selector: ({ key }) => hexOf(key), maxLength: 24 },
  )
  .map(sorted)

t.test(
  'root and proofs are those of the definition, and prove what is there and what is not',
  async (t) => {
    fc.assert(
      fc.property(someHeads, fc.uint8Array({ minLength: 32, maxLength: 32 }), (heads, absent) => {
        const root = headsRoot(sha256, heads)
        if (!equalBytes(root, naiveRoot(heads))) return false
        for (const head of heads) {
          const proof = proveHead(sha256, heads, head.key)
          verifyHead(sha256, root, head.key, head, proof)
        }
        if (!heads.some(({ key }) => equalBytes(key, absent)))
          verifyHead(sha256, root, absent, null, proveHead(sha256, heads, absent))
        return true
      }),
      { numRuns: 60 },
    )
    t.pass()
  },
)

t.test(
  'a proof of the heads map that was changed anywhere is refused with the reason',
  async (t) => {
    fc.assert(
      fc.property(someHeads, fc.nat(), (heads, pick) => {
        const head = heads[pick % Math.max(1, heads.length)]
        if (head === undefined) return
        const root = headsRoot(sha256, heads)
        const proof = proveHead(sha256, heads, head.key)
        const refused = (claim: Head | null, changed: Partial<HeadProof>, key = head.key) => {
          t.throws(() => verifyHead(sha256, root, key, claim, { ...proof, ...changed }), mismatch)
        }
        refused({ ...head, number: head.number + 1 }, {})
        refused({ ...head, leafHash: flipped(head.leafHash) }, {})
        refused(head, {}, flipped(head.key))
        refused(null, {})
        refused(null, { other: head })
        refused(head, { other: { ...head, key: flipped(head.key) } })
        refused(head, { siblings: [...proof.siblings, null] })
        refused(head, { siblings: [...proof.siblings, zeros] })
        refused(head, { siblings: [...proof.siblings, root] })
        refused(head, { siblings: Array.from({ length: 257 }, () => root) })
        proof.siblings.forEach((hash, at) => {
          const others = (other: Uint8Array | null) =>
            proof.siblings.map((one, i) => (i === at ? other : one))
          refused(head, { siblings: others(hash === null ? zeros : flipped(hash)) })
          refused(head, { siblings: others(hash === null ? root : null) })
          refused(head, { siblings: proof.siblings.filter((_, i) => i !== at) })
        })
        if (head.number > 0 || heads.length > 1)
          t.throws(() => verifyHead(sha256, flipped(root), head.key, head, proof), mismatch)
      }),
      { numRuns: 25 },
    )
  },
)

const leafOf = (
  position: number,
  stream: string,
  revision: number,
  type: string,
  seq: number,
): HeadLeaf => ({
  position,
  leafHash: sha256(utf8(`leaf ${position}`)),
  leaf: { project: 'default', stream, type, revision: String(revision), type_seq: String(seq) },
})

/** A log of events over some streams and types, and the heads of any beginning of it. */
function madeLog(picks: readonly (readonly [number, number])[]) {
  const counts = new Map<string, number>()
  const next = (name: string) => {
    const count = counts.get(name) ?? 0
    counts.set(name, count + 1)
    return count
  }
  const leaves = picks.map(([stream, type], position) =>
    leafOf(position, `order-${stream}`, next(`s${stream}`), `t${type}`, next(`t${type}`)),
  )
  const headsBelow = (size: number) => {
    const heads = new Map<string, Head>()
    for (const { leaf, leafHash } of leaves.slice(0, size)) {
      for (const [kind, name, number] of [
        ['stream', leaf.stream, leaf.revision],
        ['type', leaf.type, leaf.type_seq],
      ] as const) {
        const key = headKey(sha256, kind, leaf.project, name)
        heads.set(hexOf(key), { key, number: Number(number), leafHash })
      }
    }
    return sorted([...heads.values()])
  }
  return { leaves, headsBelow }
}

const nextTurn = () => Promise.resolve()
const openStore = async (folder: string) =>
  openHeadsStore({ files: nodeFiles, origin: 'example.org/ledger', path: join(folder, 'heads') })

t.test(
  'the map kept on disk has the same roots and proofs as one made at once, however it was built',
  async (t) => {
    const folder = await temporaryFolder(t)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(40), fc.nat(3)), { minLength: 1, maxLength: 120 }),
        fc.array(fc.constantFrom('root', 'keep', 'reopen', 'prove'), { maxLength: 6 }),
        async (picks, steps) => {
          const { leaves, headsBelow } = madeLog(picks)
          let store = await openStore(folder)
          await store.clear()
          let map = createHeadsMap({ sha256, store, nextTurn })
          for (const [i, step] of [...steps, 'root' as const].entries()) {
            const end = Math.ceil((leaves.length * (i + 1)) / (steps.length + 1))
            const next = leaves.slice(map.position, end)
            if (i % 2 === 0) map.addAll(next)
            else for (const leaf of next) map.add(leaf)
            if (step === 'keep') await map.keep('always')
            if (step === 'reopen') {
              await map.keep('always')
              await store.close()
              store = await openStore(folder)
              map = createHeadsMap({ sha256, store, nextTurn })
            }
            const heads = headsBelow(end)
            t.equal(hexOf(await map.root()), hexOf(headsRoot(sha256, heads)))
            t.equal(map.streams, new Set(leaves.slice(0, end).map(({ leaf }) => leaf.stream)).size)
            for (const name of ['order-0', 'order-1', 'order-99']) {
              const key = headKey(sha256, 'stream', 'default', name)
              const { head, proof } = await map.prove(key)
              verifyHead(sha256, headsRoot(sha256, heads), key, head, proof)
              t.equal(head === null, !heads.some((one) => equalBytes(one.key, key)))
            }
          }
          await store.close()
        },
      ),
      { numRuns: 25 },
    )
  },
)

t.test('a kept map that was damaged or cut short is not used, wherever it was hit', async (t) => {
  const folder = await temporaryFolder(t)
  const { leaves, headsBelow } = madeLog(Array.from({ length: 60 }, (_, i) => [i % 20, i % 2]))
  const root = hexOf(headsRoot(sha256, headsBelow(60)))
  const store = await openStore(folder)
  const map = createHeadsMap({ sha256, store, nextTurn })
  for (const leaf of leaves) map.add(leaf)
  await map.keep('always')
  t.equal(hexOf(await map.root()), root)
  await store.close()
  const path = join(folder, 'heads')
  const whole = await readFile(path)
  const rootOfKept = async (): Promise<string> => {
    const opened = await openStore(folder)
    try {
      const kept = createHeadsMap({ sha256, store: opened, nextTurn })
      if (kept.position !== 60) return 'not used'
      // Adding to every bucket makes the map read each of them.
      for (let i = 0; i < 20; i += 1) {
        const at = leaves.findLastIndex(({ leaf }) => leaf.stream === `order-${i}`)
        const last = leaves[at]
        if (last !== undefined) kept.add({ ...last, position: 60 + i })
      }
      return hexOf(await kept.root())
    } catch (error) {
      if (error instanceof HeadsDamaged) return 'damaged'
      throw error
    } finally {
      await opened.close()
    }
  }
  t.equal(await rootOfKept(), root)

  const places = [0, 9, 13, 17, 25, 33, 41, 57, 61, 64, 70, 64 + 41 * 4_096 + 3, whole.length - 1]
  for (const at of places) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 1
    await writeFile(path, changed)
    t.match(await rootOfKept(), /^(not used|damaged)$/, `byte ${at}`)
  }
  for (const length of [0, 63, 64, whole.length - 1]) {
    await writeFile(path, whole.subarray(0, length))
    t.equal(await rootOfKept(), 'not used', `${length} bytes`)
  }
})
