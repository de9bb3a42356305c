import { hexOf } from './encoding.js'
import {
  bitOf,
  type Head,
  headHashBytes,
  headKey,
  type HeadProof,
  joinHeads,
  proveHead,
  type Subheads,
  subheadsOf,
} from './heads.js'
import type { Sha256 } from './merkle.js'

/** Heads whose keys share their first bits, sorted by key, with the hash of their subtree. */
export interface HeadBucket {
  readonly heads: readonly Head[]
  readonly subheads: Subheads
}

/** What is kept of a map: the heads of all leaves below `position`, in 2^`bucketBits` buckets. */
export interface KeptHeads {
  readonly position: number
  readonly streams: number
  readonly heads: number
  readonly bucketBits: number
  subheads(bucket: number): Subheads
  /** @throws HeadsDamaged. */
  bucket(bucket: number): Promise<readonly Head[]>
}

/**
 * Keeps a map outside of memory. It holds nothing that the log does not say: what is lost or damaged
 * is folded from the log again, so `keep` replaces all or nothing and promises no more.
 */
export interface HeadsStore {
  /** What was kept last; undefined when there is nothing that can be used. */
  kept(): KeptHeads | undefined
  /** Takes the buckets in order. A crash leaves what was kept before. */
  keep(
    about: Pick<KeptHeads, 'position' | 'streams' | 'bucketBits'>,
    buckets: AsyncIterable<HeadBucket>,
  ): Promise<void>
  /** Forgets what was kept. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** What is kept of the map is not what was written. */
export class HeadsDamaged extends Error {
  constructor(flaw: string) {
    super(`the kept heads are damaged: ${flaw}`)
    this.name = 'HeadsDamaged'
  }
}

/** One event of the log, as far as the map needs it. */
export interface HeadLeaf {
  readonly position: number
  readonly leafHash: Uint8Array
  readonly leaf: {
    readonly project: string
    readonly stream: string
    readonly type: string
    readonly revision: string
    readonly type_seq: string
  }
}

/**
 * The map of the last event of every stream and of every type, as of the leaves below `position`.
 * Only what changed since it was kept is in memory. One call at a time.
 */
export interface HeadsMap {
  readonly position: number
  /** How many streams it holds. */
  readonly streams: number
  /** Takes the next event; positions that are no events may be left out. */
  add(leaf: HeadLeaf): void
  /** Takes the next events; of those of one stream or type only the last is looked at. */
  addAll(leaves: readonly HeadLeaf[]): void
  /** Everything below `position` was added. */
  advance(position: number): void
  root(): Promise<Uint8Array>
  prove(key: Uint8Array): Promise<{ readonly head: Head | null; readonly proof: HeadProof }>
  /** Keeps the map outside of memory when enough has changed, or in any case. */
  keep(when: 'enough' | 'always'): Promise<void>
  /** Begins anew at position 0. */
  reset(): Promise<void>
}

/** Buckets of a map that was never kept; a kept one has more as it grows. */
const bucketBitsMin = 12
const bucketBitsMax = 20
const headsPerBucket = 32
/** Heads in memory before they are kept: this many, or an eighth of all, at most the second number. */
const changedMin = 65_536
const changedMax = 131_072
/** Leaves that a start must read again at most. */
const leavesSinceKeptMax = 1_048_576
/** Buckets hashed between two turns of the event loop. */
const bucketsPerTurn = 64
const joinsPerTurn = 4_096
const rememberedKeysMax = 4_096

interface Parts {
  readonly sha256: Sha256
  readonly store: HeadsStore
  /** Lets others run: hashing a large map must not hold up appends. */
  readonly nextTurn: () => Promise<void>
}

/** Whether a name was not seen before; from then on it was. */
function isFirst(seen: Set<string>, project: string, name: string): boolean {
  const { size } = seen
  return seen.add(`${project}\n${name}`).size > size
}

/** Keys of names, of which those that events often have need not be hashed again. */
function rememberedKeys(sha256: Sha256, kind: 'stream' | 'type') {
  const keys = new Map<string, Uint8Array>()
  return (project: string, name: string): Uint8Array => {
    const whole = `${project}\n${name}`
    const known = keys.get(whole)
    if (known !== undefined) return known
    if (keys.size >= rememberedKeysMax) keys.clear()
    const key = headKey(sha256, kind, project, name)
    keys.set(whole, key)
    return key
  }
}

export function createHeadsMap({ sha256, store, nextTurn }: Parts): HeadsMap {
  let kept = store.kept()
  let position = kept?.position ?? 0
  let streams = kept?.streams ?? 0
  let changed = changedHeads(kept?.bucketBits ?? bucketBitsMin)
  let tree = bucketTree(sha256, kept)
  let dirty = new Set<number>()
  // What was read back tells of its buckets only.
  let isWhole = kept === undefined
  const typeKeys = rememberedKeys(sha256, 'type')
  const streamKeys = rememberedKeys(sha256, 'stream')
  const set = (key: Uint8Array, number: number, leafHash: Uint8Array) => {
    const bucket = changed.set({ key, number, leafHash })
    dirty.add(bucket)
  }
  const bucketOf = async (bucket: number): Promise<readonly Head[]> =>
    mergeHeads((await kept?.bucket(bucket)) ?? [], changed.of(bucket))

  const rehash = async () => {
    let done = 0
    for (const bucket of dirty) {
      tree.set(bucket, subheadsOf(sha256, await bucketOf(bucket), tree.bits))
      if ((done += 1) % bucketsPerTurn === 0) await nextTurn()
    }
    await tree.rehash(isWhole ? dirty : 'all', nextTurn)
    dirty = new Set()
    isWhole = true
  }

  /** The buckets of the next kept map: those of this one, each divided as it is to grow. */
  async function* grown(bits: number): AsyncGenerator<HeadBucket> {
    const parts = 2 ** (bits - tree.bits)
    for (let bucket = 0; bucket < 2 ** tree.bits; bucket += 1) {
      const heads = await bucketOf(bucket)
      if (bucket % bucketsPerTurn === 0) await nextTurn()
      if (parts === 1) {
        yield { heads, subheads: tree.get(bucket) }
        continue
      }
      for (let part = 0; part < parts; part += 1) {
        const own = heads.filter(({ key }) => bucketOfKey(key, bits) === bucket * parts + part)
        yield { heads: own, subheads: subheadsOf(sha256, own, bits) }
      }
    }
  }

  const startOver = () => {
    kept = store.kept()
    changed = changedHeads(kept?.bucketBits ?? bucketBitsMin)
    tree = bucketTree(sha256, kept)
    dirty = new Set()
    isWhole = kept === undefined
  }

  return {
    get position() {
      return position
    },
    get streams() {
      return streams
    },
    add({ position: at, leafHash, leaf }) {
      if (at < position) throw new RangeError(`position ${at} was added already`)
      if (leaf.revision === '0') streams += 1
      set(streamKeys(leaf.project, leaf.stream), Number(leaf.revision), leafHash)
      set(typeKeys(leaf.project, leaf.type), Number(leaf.type_seq), leafHash)
      position = at + 1
    },
    addAll(leaves) {
      const [first] = leaves
      if (first !== undefined && first.position < position)
        throw new RangeError(`position ${first.position} was added already`)
      const [streamsSeen, typesSeen] = [new Set<string>(), new Set<string>()]
      // From the last one: who was seen has had a later event.
      for (let i = leaves.length - 1; i >= 0; i -= 1) {
        const one = leaves[i] as HeadLeaf
        const { project, stream, type, revision, type_seq: sequence } = one.leaf
        if (revision === '0') streams += 1
        if (isFirst(streamsSeen, project, stream))
          set(streamKeys(project, stream), Number(revision), one.leafHash)
        if (isFirst(typesSeen, project, type))
          set(typeKeys(project, type), Number(sequence), one.leafHash)
      }
      position = (leaves.at(-1)?.position ?? position - 1) + 1
    },
    advance(to) {
      position = Math.max(position, to)
    },
    async root() {
      await rehash()
      return tree.root().hash
    },
    async prove(key) {
      await rehash()
      const way = tree.way(key)
      const heads = await bucketOf(way.bucket)
      const { siblings, other } = proveHead(sha256, heads, key, way.depth)
      const head = heads.find((one) => bucketKey(one.key) === bucketKey(key)) ?? null
      return { head, proof: { siblings: [...way.siblings, ...siblings], other } }
    },
    async keep(when) {
      const enough = Math.min(changedMax, Math.max(changedMin, (kept?.heads ?? 0) / 8))
      const isEnough =
        changed.size >= enough || position - (kept?.position ?? 0) >= leavesSinceKeptMax
      if (when === 'enough' && !isEnough) return
      await rehash()
      const heads = (kept?.heads ?? 0) + changed.size
      const wanted = Math.ceil(Math.log2(Math.max(1, heads / headsPerBucket)))
      const bits = Math.min(bucketBitsMax, Math.max(tree.bits, wanted))
      await store.keep({ position, streams, bucketBits: bits }, grown(bits))
      startOver()
    },
    async reset() {
      await store.clear()
      position = 0
      streams = 0
      startOver()
    },
  }
}

const bucketKey = (key: Uint8Array) => hexOf(key)

/** The first `bits` bits of a key as a number. */
const bucketOfKey = (key: Uint8Array, bits: number): number =>
  Math.floor(new DataView(key.buffer, key.byteOffset).getUint32(0) / 2 ** (32 - bits))

/** The heads that changed since the map was kept, by bucket; the last one of each key. */
function changedHeads(bits: number) {
  const buckets = new Map<number, Map<string, Head>>()
  let size = 0
  return {
    get size() {
      return size
    },
    set(head: Head): number {
      const bucket = bucketOfKey(head.key, bits)
      let own = buckets.get(bucket)
      if (own === undefined) buckets.set(bucket, (own = new Map<string, Head>()))
      const name = bucketKey(head.key)
      if (!own.has(name)) size += 1
      own.set(name, head)
      return bucket
    },
    /** Sorted by key. */
    of(bucket: number): readonly Head[] {
      const own = buckets.get(bucket)
      if (own === undefined) return []
      // The names are the keys in hex, which sort as their bytes do.
      return [...own].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, head]) => head)
    },
  }
}

/** Both sorted by key; of one key the second list counts. */
function mergeHeads(older: readonly Head[], newer: readonly Head[]): readonly Head[] {
  if (newer.length === 0) return older
  const heads: Head[] = []
  let at = 0
  for (const head of newer) {
    for (let one = older[at]; one !== undefined; one = older[at]) {
      const order = compareKeys(one.key, head.key)
      if (order > 0) break
      if (order < 0) heads.push(one)
      at += 1
    }
    heads.push(head)
  }
  return [...heads, ...older.slice(at)]
}

function compareKeys(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < headHashBytes; at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const holdings = ['none', 'one', 'more'] as const

/** The upper part of the map, above its buckets: all hashes in two arrays, node n over 2n and 2n + 1. */
function bucketTree(sha256: Sha256, kept: KeptHeads | undefined) {
  const bits = kept?.bucketBits ?? bucketBitsMin
  const width = 2 ** bits
  const hashes = new Uint8Array(2 * width * headHashBytes)
  const holds = new Uint8Array(2 * width)
  const read = (node: number): Subheads => ({
    hash: hashes.slice(node * headHashBytes, (node + 1) * headHashBytes),
    holds: holdings[holds[node] ?? 0] ?? 'none',
  })
  const write = (node: number, subheads: Subheads) => {
    hashes.set(subheads.hash, node * headHashBytes)
    holds[node] = holdings.indexOf(subheads.holds)
  }
  const join = (node: number) => write(node, joinHeads(sha256, read(2 * node), read(2 * node + 1)))
  if (kept !== undefined) {
    for (let bucket = 0; bucket < width; bucket += 1) write(width + bucket, kept.subheads(bucket))
  }
  return {
    bits,
    root: () => read(1),
    get: (bucket: number) => read(width + bucket),
    set: (bucket: number, subheads: Subheads) => write(width + bucket, subheads),
    async rehash(changed: ReadonlySet<number> | 'all', nextTurn: () => Promise<void>) {
      if (changed === 'all') {
        for (let node = width - 1; node >= 1; node -= 1) {
          join(node)
          if (node % joinsPerTurn === 0) await nextTurn()
        }
        return
      }
      let nodes: ReadonlySet<number> = new Set([...changed].map((bucket) => width + bucket))
      while (nodes.size > 0 && !nodes.has(1)) {
        nodes = new Set([...nodes].map((node) => Math.floor(node / 2)))
        for (const node of nodes) join(node)
        await nextTurn()
      }
    },
    /** From the root to the bucket in which the key is, or the only head on its way. */
    way(key: Uint8Array) {
      const siblings: (Uint8Array | null)[] = []
      let node = 1
      let depth = 0
      while (depth < bits && read(node).holds === 'more') {
        const next = 2 * node + bitOf(key, depth)
        const beside = read(next ^ 1)
        siblings.push(beside.holds === 'none' ? null : beside.hash)
        node = next
        depth += 1
      }
      while (node < width) node = 2 * node + (read(2 * node).holds === 'none' ? 1 : 0)
      return { siblings, depth, bucket: node - width }
    },
  }
}
