import { EvidenceError } from '../../contracts/errors.js'
import { equalBytes } from '../encoding.js'
import type { ExpectedRevision, Receipt, RecordedEvent } from '../event-store.js'
import type { PreparedEvent, PreparedRequest, PreparedTarget } from './draft-check.js'
import { createLeafBlanks, type LeafBlank } from './leaf-blank.js'

/** One event with its place: what becomes a record. */
export interface SequencedEvent {
  readonly position: number
  readonly revision: number
  readonly typeSeq: number
  readonly blank: LeafBlank
  /** Which leaf of the group is the event before it in its stream; -1 when none of them is. */
  readonly prevInGroup: number
  readonly prepared: PreparedEvent
}

/** A leaf that is no event, with its place. */
export interface SequencedRaw {
  readonly position: number
  readonly raw: Uint8Array
}

export type SequencedLeaf = SequencedEvent | SequencedRaw

export type Outcome = { readonly receipts: readonly Receipt[] } | { readonly error: EvidenceError }

/** An event that stands under an id already: on disk, or in a group that is on its way there. */
export interface Taken {
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

/** The end of a stream while a group is sequenced; `inGroup` is its last leaf there, -1 = none. */
export interface GroupHead {
  size: number
  prev: string | null
  inGroup: number
}

/** The next `type_seq` of a type while a group is sequenced. */
export interface GroupType {
  size: number
}

/**
 * What a group must know of the ledger. It is read before, so that sequencing itself never waits and
 * requests of one group see each other; heads and types grow with the group. Their keys are `nameKey`s.
 */
export interface Known {
  /** Number of durable events: the first position of the group. */
  readonly size: number
  /** The events before the group whose ids it uses again. */
  readonly stored: ReadonlyMap<string, Taken>
  readonly heads: ReadonlyMap<string, GroupHead>
  readonly types: ReadonlyMap<string, GroupType>
  /** The events of the group itself by id, as they get their places. */
  readonly added: Map<string, SequencedEvent>
}

const knownOf = <Value>(known: ReadonlyMap<string, Value>, key: string): Value => {
  const value = known.get(key)
  if (value === undefined) throw new RangeError(`the group was not told of ${key}`)
  return value
}

export function createGroupSequencer(known: Known, timeMs: number): GroupSequencer {
  const blanksAt = (ms: number) => createLeafBlanks(new Date(ms).toISOString())
  let blanks = { timeMs, blankOf: blanksAt(timeMs) }
  const blanksOf = ({ settled }: PreparedEvent) => {
    const ms = settled?.timeMs ?? timeMs
    if (ms !== blanks.timeMs) blanks = { timeMs: ms, blankOf: blanksAt(ms) }
    return blanks.blankOf
  }
  const leaves: SequencedLeaf[] = []
  const { added, stored } = known

  const takenBy = (id: string): Taken | undefined => {
    const inGroup = added.get(id)
    return inGroup === undefined ? stored.get(id) : takenInGroup(inGroup)
  }

  const place = (prepared: PreparedEvent): Receipt => {
    const head = knownOf(known.heads, prepared.streamKey)
    const type = knownOf(known.types, prepared.typeKey)
    const position = known.size + leaves.length
    const revision = head.size
    const typeSeq = type.size
    const prevInGroup = head.inGroup
    const prev = prevInGroup === -1 ? head.prev : undefined
    const blank = blanksOf(prepared)(prepared, revision, typeSeq, prev)
    const event = { position, revision, typeSeq, blank, prevInGroup, prepared }
    head.size += 1
    head.inGroup = leaves.length
    type.size += 1
    leaves.push(event)
    added.set(prepared.id, event)
    return {
      id: prepared.id,
      stream: prepared.stream,
      revision,
      cursor: cursorOf(position),
      position,
      repeated: false,
      erased: false,
    }
  }

  /** Law 7: ids before revisions, or a retry would meet the revision that its first try made. */
  const takenIn = (request: PreparedRequest): readonly (Taken | undefined)[] | undefined => {
    const isTaken = ({ id }: PreparedEvent) => added.has(id) || stored.has(id)
    return request.events.some(isTaken)
      ? request.events.map((event) => takenBy(event.id))
      : undefined
  }

  return {
    leaves,
    placeRaw(raw) {
      const position = known.size + leaves.length
      leaves.push({ position, raw })
      return position
    },
    sequence(request, refusal = null) {
      const taken = takenIn(request)
      if (taken !== undefined) return repeat(request, taken)
      for (const target of request.targets) {
        const { size } = knownOf(known.heads, target.streamKey)
        if (!isExpected(target.expected, size)) return { error: conflict(target, size) }
      }
      if (refusal !== null) return { error: refusal }
      return { receipts: request.events.map(place) }
    },
  }
}

export const takenInGroup = ({ prepared, revision, position }: SequencedEvent): Taken => ({
  ...prepared,
  revision,
  position,
})

export const takenOnDisk = ({ leaf, position, data }: RecordedEvent): Taken => ({
  project: leaf.project,
  stream: leaf.stream,
  type: leaf.type,
  contentType: leaf.content_type,
  revision: Number(leaf.revision),
  position,
  data: data?.bytes ?? null,
})

/** Answers the original receipts when every event is the same one again. */
export function repeat(
  request: Pick<PreparedRequest, 'events'>,
  taken: readonly (Taken | undefined)[],
): Outcome {
  const receipts: Receipt[] = []
  for (const [i, prepared] of request.events.entries()) {
    const first = taken[i]
    const difference =
      first === undefined
        ? 'of the request is new, though others of it are known'
        : differenceOf(prepared, first)
    if (first === undefined || difference !== undefined) {
      const error = new EvidenceError('EVENT_ID_REUSED', `the event ${prepared.id} ${difference}`, {
        details: { id: prepared.id },
      })
      return { error }
    }
    receipts.push({
      id: prepared.id,
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

function differenceOf(event: PreparedEvent, first: Taken): string | undefined {
  if (first.project !== event.project || first.stream !== event.stream)
    return 'stands on the ledger in another stream'
  if (first.type !== event.type) return 'stands on the ledger with another type'
  if (first.contentType !== event.contentType)
    return 'stands on the ledger with another content type'
  if (first.data !== null && !equalBytes(first.data, event.data))
    return 'stands on the ledger with other data'
  return undefined
}

const isExpected = (expected: ExpectedRevision, size: number): boolean =>
  expected === 'any' ||
  (expected === 'none' && size === 0) ||
  (expected === 'exists' && size > 0) ||
  (typeof expected === 'number' && expected === size - 1)

export function conflict(
  { project, stream, expected }: Omit<PreparedTarget, 'streamKey'>,
  size: number,
): EvidenceError {
  const actual = size === 0 ? null : size - 1
  return new EvidenceError(
    'REVISION_CONFLICT',
    `the stream ${stream} ${actual === null ? 'has no event' : `is at revision ${actual}`}, expected was ${expected}`,
    { details: { project, stream, expected, actual } },
  )
}
