import type { Leaf } from '../../contracts/leaf.js'
import { hexOf } from '../encoding.js'
import type { SaltedBytes } from '../event-store.js'
import { dataDigest, metadataDigest } from '../leaf.js'
import { nodeCrypto } from '../node-crypto.js'
import { type BoundedCache, boundedCache } from './bounded-cache.js'
import type { Repeated } from './fsck-index.js'
import type { FoundEntry } from './sorted-run.js'

/** Ends of streams and types that are kept in memory where an index can be asked for the others. */
const headsMax = 65_536

export type TellFlaw = (flaw: string) => void

/** A leaf with what the chain needs of it. */
export interface ChainLeaf {
  readonly position: number
  readonly leaf: Leaf
  readonly leafHash: Uint8Array
}

/**
 * Follows the leaves in order and tells everything about them that does not follow: ids, revisions,
 * `prev`, `type_seq`. It answers at once when it need not look anything up.
 */
export interface LeafChain {
  check(leaf: ChainLeaf, tell: TellFlaw): Promise<void> | undefined
  /** Leaves are missing here: what stood before says nothing about what comes. */
  gap(): void
  /** A group ended. Memory stays bounded when it is waited for. */
  endGroup(): Promise<void> | undefined
  /** False when something could not be looked up, so that an id may stand on the ledger twice. */
  readonly isWhole: boolean
}

/** What an index says of the positions below `through`. The index itself is compared elsewhere. */
export interface ChainIndex {
  readonly through: number
  /** Entries that it has for two positions. */
  readonly repeated: Repeated
  /** The event with the largest number up to `number`. */
  find(
    kind: 'stream' | 'type',
    project: string,
    name: string,
    number: number,
  ): Promise<FoundEntry | undefined>
  positionOf(id: string): Promise<number | undefined>
  /** In hex, from the journal itself; undefined when it cannot be read there. */
  leafHash(position: number): Promise<string | undefined>
}

interface Head {
  readonly number: number
  /** Undefined of types, and of streams when it could not be read. */
  readonly leafHash: string | undefined
}

const beyondAll = 2 ** 47
const keyOf = (project: string, name: string) => `${project}\n${name}`

/**
 * A chain that asks the index for what it does not remember. Below `through` an id that stands on the
 * ledger twice is among the entries that the index has twice; what comes behind is remembered whole,
 * so without an index memory grows with the ledger.
 */
export function createLeafChain(index: ChainIndex | undefined): LeafChain {
  const through = index?.through ?? 0
  const ids = new Set<string>()
  const streams = heads(through)
  const types = heads(through)
  let afterGap = false
  let isWhole = true

  const lookUp = async (
    kind: 'stream' | 'type',
    { leaf, position }: ChainLeaf,
    name: string,
    number: number,
  ): Promise<Head | undefined> => {
    const below = position < through ? number - 1 : beyondAll
    if (index === undefined || below < 0) return undefined
    const found = await index.find(kind, leaf.project, name, below)
    if (found === undefined || found.position >= position) return undefined
    if (kind === 'type') return { number: found.number, leafHash: undefined }
    const leafHash = await index.leafHash(found.position)
    if (leafHash === undefined) isWhole = false
    return { number: found.number, leafHash }
  }

  const judgeStream = (one: ChainLeaf, head: Head | undefined, tell: TellFlaw) => {
    const { project, stream, revision, prev } = one.leaf
    // After a gap the first leaf of a stream is taken as it is: its neighbour may be what is missing.
    if (head !== undefined || !afterGap) {
      const expected = (head?.number ?? -1) + 1
      if (Number(revision) !== expected)
        tell(`revision is ${revision}, the stream ${stream} is at ${expected}`)
      const isUnknown = head !== undefined && head.leafHash === undefined
      if (!isUnknown && prev !== (head?.leafHash ?? null))
        tell(`prev does not name the event before it in ${stream}`)
    }
    const next = { number: Number(revision), leafHash: hexOf(one.leafHash) }
    streams.set(keyOf(project, stream), next, one.position)
  }
  const judgeType = ({ leaf, position }: ChainLeaf, head: Head | undefined, tell: TellFlaw) => {
    const { project, type, type_seq } = leaf
    const expected = head === undefined ? (afterGap ? undefined : 0) : head.number + 1
    if (expected !== undefined && Number(type_seq) !== expected)
      tell(`type_seq is ${type_seq}, ${type} is at ${expected}`)
    types.set(keyOf(project, type), { number: Number(type_seq), leafHash: undefined }, position)
  }
  const tellRepeated = (id: string, tell: TellFlaw) =>
    tell(`the id ${id} stands on the ledger twice`)

  const checkId = ({ leaf: { id }, position }: ChainLeaf, tell: TellFlaw) => {
    const before = index?.repeated.get(position)
    if (position < through) {
      if (before !== undefined)
        tell(`it has the id ${id}, the revision or the type_seq of the event at position ${before}`)
      return
    }
    if (ids.has(id)) tellRepeated(id, tell)
    ids.add(id)
  }

  return {
    check(one, tell) {
      const { leaf, position } = one
      checkId(one, tell)
      const stream = streams.get(keyOf(leaf.project, leaf.stream))
      const type = types.get(keyOf(leaf.project, leaf.type))
      const isKnown = stream !== undefined && type !== undefined && position < through
      if (index === undefined || isKnown) {
        judgeStream(one, stream, tell)
        judgeType(one, type, tell)
        return undefined
      }
      return (async () => {
        if (position >= through && (await index.positionOf(leaf.id)) !== undefined)
          tellRepeated(leaf.id, tell)
        const { revision, type_seq } = leaf
        judgeStream(
          one,
          stream ?? (await lookUp('stream', one, leaf.stream, Number(revision))),
          tell,
        )
        judgeType(one, type ?? (await lookUp('type', one, leaf.type, Number(type_seq))), tell)
      })()
    },
    gap() {
      streams.clear()
      types.clear()
      afterGap = true
    },
    endGroup: () => undefined,
    get isWhole() {
      return isWhole
    },
  }
}

/** The ends that were seen: below `through` the latest only, behind it all. */
function heads(through: number) {
  const latest: BoundedCache<string, Head> = boundedCache(headsMax)
  const behind = new Map<string, Head>()
  return {
    get: (key: string) => behind.get(key) ?? latest.get(key),
    set(key: string, head: Head, position: number) {
      if (position < through) latest.set(key, head)
      else behind.set(key, head)
    },
    clear() {
      latest.clear()
      behind.clear()
    },
  }
}

/** Where no index can be asked and none is made: nothing is said of what follows what. */
export const noChain: LeafChain = {
  check: () => undefined,
  gap: () => undefined,
  endGroup: () => undefined,
  isWhole: false,
}

/** Makes the digests anew from salts and bytes and compares them with the leaf. */
export function checkDigests(
  leaf: Leaf,
  payload: { readonly data: SaltedBytes | null; readonly metadata: SaltedBytes | null },
  tell: (flaw: string) => void,
): void {
  const { data, metadata } = payload
  if (
    data !== null &&
    hexOf(dataDigest(nodeCrypto.sha256, data.salt, data.bytes)) !== leaf.data_sha256
  ) {
    tell('the data does not match its digest in the leaf')
  }
  if (
    metadata !== null &&
    hexOf(metadataDigest(nodeCrypto.sha256, metadata.salt, metadata.bytes)) !== leaf.metadata_sha256
  ) {
    tell('the metadata does not match its digest in the leaf')
  }
}
