import { EvidenceError } from '../../contracts/errors.js'
import type { Leaf } from '../../contracts/leaf.js'
import { equalBytes, hexOf, utf8 } from '../encoding.js'
import type { ExpectedRevision, Receipt, RecordedEvent } from '../event-store.js'
import { leafTextOf } from '../leaf.js'
import type { PreparedEvent, PreparedRequest } from './draft-check.js'
import type { StreamHead } from './journal-index.js'
import { nameKey } from './recent-events.js'
import { leafHashOf } from './recovery.js'

/** One event with its place: what becomes a record. */
export interface SequencedEvent {
  readonly position: number
  readonly revision: number
  readonly typeSeq: number
  readonly leaf: Leaf
  readonly leafBytes: Uint8Array
  readonly leafHash: Uint8Array
  readonly prepared: PreparedEvent
}

/** A leaf that is no event, with its place. */
export interface SequencedRaw {
  readonly position: number
  readonly leafBytes: Uint8Array
  readonly leafHash: Uint8Array
}

export type SequencedLeaf = SequencedEvent | SequencedRaw

export type Outcome = { readonly receipts: readonly Receipt[] } | { readonly error: EvidenceError }

/** An event that stands under an id already: on disk, or earlier in the same group. */
interface Taken {
  readonly project: string
  readonly stream: string
  readonly type: string
  readonly contentType: string
  readonly revision: number
  readonly position: number
  /** Null once erased: then they cannot be compared and count as equal. */
  readonly data: Uint8Array | null
}

/** Gives the events of one group their places, request by request, without touching index or tree. */
export interface GroupSequencer {
  readonly leaves: readonly SequencedLeaf[]
  /** `refusal` is why nothing new can be taken of this request; what is known is answered still. */
  sequence(request: PreparedRequest, refusal?: EvidenceError | null): Outcome
  /** Gives a raw leaf its place and answers it. */
  placeRaw(leafBytes: Uint8Array): number
}

export const cursorOf = (position: number): string => String(position)

/**
 * What a group must know of the ledger. It is read before, so that sequencing itself never waits and
 * requests of one group see each other. Streams and types are named by `nameKey`.
 */
export interface Known {
  /** Number of durable events: the first position of the group. */
  readonly size: number
  /** The durable events whose ids the group uses again. */
  readonly stored: ReadonlyMap<string, RecordedEvent>
  readonly heads: ReadonlyMap<string, StreamHead>
  readonly typeSizes: ReadonlyMap<string, number>
}

const knownOf = <Value>(known: ReadonlyMap<string, Value>, key: string): Value => {
  const value = known.get(key)
  if (value === undefined) throw new RangeError(`the group was not told of ${key}`)
  return value
}

export function createGroupSequencer(known: Known, timeMs: number): GroupSequencer {
  const time = new Date(timeMs).toISOString()
  const leaves: SequencedLeaf[] = []
  const byId = new Map<string, SequencedEvent>()
  const streamHeads = new Map<string, { size: number; prev: string | null }>()
  const typeSizes = new Map<string, number>()

  const headOf = (project: string, stream: string) => {
    const key = nameKey(project, stream)
    const present = streamHeads.get(key)
    if (present !== undefined) return present
    const head = { ...knownOf(known.heads, key) }
    streamHeads.set(key, head)
    return head
  }

  const takenBy = (id: string): Taken | undefined => {
    const inGroup = byId.get(id)
    if (inGroup !== undefined)
      return takenOf(inGroup.leaf, inGroup.position, inGroup.prepared.draft.data)
    const event = known.stored.get(id)
    return event === undefined
      ? undefined
      : takenOf(event.leaf, event.position, event.data?.bytes ?? null)
  }

  const place = (prepared: PreparedEvent): Receipt => {
    const { project, stream, draft } = prepared
    const head = headOf(project, stream)
    const typeKey = nameKey(project, draft.type)
    const typeSeq = typeSizes.get(typeKey) ?? knownOf(known.typeSizes, typeKey)
    const leaf: Leaf = {
      actor: draft.actor,
      content_type: draft.contentType,
      data_sha256: prepared.dataSha256,
      id: draft.id,
      metadata_sha256: prepared.metadataSha256,
      prev: head.prev,
      project,
      revision: String(head.size),
      stream,
      time,
      type: draft.type,
      type_seq: String(typeSeq),
      version: draft.version,
      writer: draft.writer,
    }
    const leafBytes = utf8(leafTextOf(leaf))
    const leafHash = leafHashOf(leafBytes)
    const position = known.size + leaves.length
    const revision = head.size
    const event = { position, revision, typeSeq, leaf, leafBytes, leafHash, prepared }
    leaves.push(event)
    byId.set(draft.id, event)
    typeSizes.set(typeKey, typeSeq + 1)
    head.size += 1
    head.prev = hexOf(leafHash)
    const cursor = cursorOf(position)
    return { id: draft.id, stream, revision, cursor, position, repeated: false, erased: false }
  }

  return {
    leaves,
    placeRaw(leafBytes) {
      const position = known.size + leaves.length
      leaves.push({ position, leafBytes, leafHash: leafHashOf(leafBytes) })
      return position
    },
    sequence(request, refusal = null) {
      // Law 7: ids before revisions, or a retry would meet the revision that its first try made.
      const taken = request.events.map(({ draft }) => takenBy(draft.id))
      if (taken.some((other) => other !== undefined)) return repeat(request, taken)
      for (const target of request.streams) {
        const { size } = headOf(target.project, target.stream)
        if (!isExpected(target.expected, size)) return { error: conflict(target, size) }
      }
      if (refusal !== null) return { error: refusal }
      return { receipts: request.events.map(place) }
    },
  }
}

const takenOf = (leaf: Leaf, position: number, data: Uint8Array | null): Taken => ({
  project: leaf.project,
  stream: leaf.stream,
  type: leaf.type,
  contentType: leaf.content_type,
  revision: Number(leaf.revision),
  position,
  data,
})

/** Answers the original receipts when every event is the same one again. */
function repeat(request: PreparedRequest, taken: readonly (Taken | undefined)[]): Outcome {
  const receipts: Receipt[] = []
  for (const [i, prepared] of request.events.entries()) {
    const { draft } = prepared
    const first = taken[i]
    const difference =
      first === undefined
        ? 'of the request is new, though others of it are known'
        : differenceOf(prepared, first)
    if (first === undefined || difference !== undefined) {
      const error = new EvidenceError('EVENT_ID_REUSED', `the event ${draft.id} ${difference}`, {
        details: { id: draft.id },
      })
      return { error }
    }
    receipts.push({
      id: draft.id,
      stream: first.stream,
      revision: first.revision,
      cursor: cursorOf(first.position),
      position: first.position,
      repeated: true,
      erased: first.data === null,
    })
  }
  return { receipts }
}

function differenceOf({ project, stream, draft }: PreparedEvent, first: Taken): string | undefined {
  if (first.project !== project || first.stream !== stream)
    return 'stands on the ledger in another stream'
  if (first.type !== draft.type) return 'stands on the ledger with another type'
  if (first.contentType !== draft.contentType)
    return 'stands on the ledger with another content type'
  if (first.data !== null && !equalBytes(first.data, draft.data))
    return 'stands on the ledger with other data'
  return undefined
}

const isExpected = (expected: ExpectedRevision, size: number): boolean =>
  expected === 'any' ||
  (expected === 'none' && size === 0) ||
  (expected === 'exists' && size > 0) ||
  (typeof expected === 'number' && expected === size - 1)

function conflict(
  { project, stream, expected }: PreparedRequest['streams'][number],
  size: number,
): EvidenceError {
  const actual = size === 0 ? null : size - 1
  return new EvidenceError(
    'REVISION_CONFLICT',
    `the stream ${stream} ${actual === null ? 'has no event' : `is at revision ${actual}`}, expected was ${expected}`,
    { details: { project, stream, expected, actual } },
  )
}
