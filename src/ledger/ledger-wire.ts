import { type ErrorCode, EvidenceError, errorTable } from '../contracts/errors.js'
import type { Writer } from '../contracts/identifiers.js'
import type * as messages from '../contracts/ledger-messages.js'
import type { MessageType } from '../contracts/protobuf.js'
import { utf8 } from './encoding.js'
import type {
  AppendRequest,
  EventDraft,
  ExpectedRevision,
  LogFilter,
  PublishedCheckpoint,
  Receipt,
  RecordedEvent,
} from './event-store.js'
import type { Head } from './heads.js'
import { parseLeaf } from './leaf.js'
import { leafHash, type Sha256 } from './merkle.js'
import type { SealedHead } from './sealed-heads.js'
import { sealOf } from './seals.js'

/** Trailer that holds an error as JSON in ASCII. */
export const errorTrailer = 'fractalops-error'

export const numberOf = (value: bigint | number | undefined): number => Number(value ?? 0)
const optional = (value: bigint | number | undefined): number | undefined =>
  value === undefined ? undefined : Number(value)

const salted = (part: RecordedEvent['data']) =>
  part === null ? undefined : { bytes: part.bytes, salt: part.salt }

export const recordedMessage = ({ position, leafText, data, metadata }: RecordedEvent) => ({
  position,
  leaf: leafText,
  data: salted(data),
  metadata: salted(metadata),
})

const copied = (
  part:
    { readonly bytes?: Uint8Array | undefined; readonly salt?: Uint8Array | undefined } | undefined,
) =>
  part === undefined
    ? null
    : // Parts of one message would keep the whole of it in memory.
      { bytes: Uint8Array.from(part.bytes ?? []), salt: Uint8Array.from(part.salt ?? []) }

/** The event of a message; its leaf is checked, its hash computed and not believed. */
export function recordedOf(
  sha256: Sha256,
  { position, leaf = '', data, metadata }: MessageType<typeof messages.Recorded>,
): RecordedEvent {
  return {
    position: numberOf(position),
    leaf: parseLeaf(leaf),
    leafText: leaf,
    leafHash: leafHash(sha256, utf8(leaf)),
    data: copied(data),
    metadata: copied(metadata),
  }
}

export const checkpointMessage = ({ origin, size, root, note }: PublishedCheckpoint) => ({
  origin,
  size,
  root,
  note,
})

export const checkpointOf = ({
  origin = '',
  size,
  root = new Uint8Array(),
  note = '',
}: MessageType<typeof messages.Checkpoint>): PublishedCheckpoint => ({
  origin,
  size: numberOf(size),
  root: Uint8Array.from(root),
  note,
})

export const receiptMessage = ({ position, ...receipt }: Receipt) => ({
  ...receipt,
  ...(position === null ? {} : { position }),
})

export const receiptOf = ({
  id = '',
  stream = '',
  revision,
  cursor = '',
  position,
  repeated: isRepeated = false,
  erased = false,
}: MessageType<typeof messages.AppendReceipt>): Receipt => ({
  id,
  stream,
  revision: numberOf(revision),
  cursor,
  position: optional(position) ?? null,
  repeated: isRepeated,
  erased,
})

export const filterMessage = ({ project, streamPrefixes, types }: LogFilter) => ({
  project,
  ...(streamPrefixes === undefined ? {} : { byPrefix: true, streamPrefixes }),
  ...(types === undefined ? {} : { byType: true, types }),
})

export const filterOf = ({
  project,
  byPrefix,
  streamPrefixes = [],
  byType,
  types = [],
}: MessageType<typeof messages.Filter>): LogFilter => ({
  ...(project === undefined ? {} : { project }),
  ...(byPrefix === true ? { streamPrefixes } : {}),
  ...(byType === true ? { types } : {}),
})

const headPart = (head: Head | null) =>
  head === null ? undefined : { key: head.key, number: head.number, leafHash: head.leafHash }

export const headMessage = ({ event, head, proof }: SealedHead) => ({
  event: recordedMessage(event),
  head: headPart(head),
  siblings: proof.siblings.map((hash) => (hash === null ? {} : { hash })),
  other: headPart(proof.other),
})

const headOf = (part: MessageType<typeof messages.HeadPart> | undefined): Head | null =>
  part === undefined
    ? null
    : {
        key: Uint8Array.from(part.key ?? []),
        number: numberOf(part.number),
        leafHash: Uint8Array.from(part.leafHash ?? []),
      }

export function sealedHeadOf(
  sha256: Sha256,
  { event: told, head, siblings = [], other }: MessageType<typeof messages.HeadAnswer>,
): SealedHead | undefined {
  if (told === undefined) return undefined
  const event = recordedOf(sha256, told)
  const { leaf, position, data } = event
  return {
    seal: sealOf(leaf, position, data?.bytes ?? new Uint8Array()),
    event,
    head: headOf(head),
    proof: {
      siblings: siblings.map(({ hash }) => (hash === undefined ? null : Uint8Array.from(hash))),
      other: headOf(other),
    },
  }
}

/** The parts in which an append is sent. */
export function* appendParts(requests: readonly AppendRequest[]): Generator<messages.AppendPart> {
  for (const { project, stream, expected, attempt, events } of requests) {
    const named =
      expected === 'none'
        ? { none: true }
        : expected === 'exists'
          ? { exists: true }
          : expected === 'any'
            ? {}
            : { exactly: expected }
    yield { head: { project, stream, ...named, attempt } }
    for (const event of events) yield { event: { ...event } }
  }
}

interface AppendBounds {
  readonly eventsMax: number
  readonly bytesMax: number
}

const tooLarge = ({ eventsMax, bytesMax }: AppendBounds) =>
  new EvidenceError(
    'EVENT_TOO_LARGE',
    `an append takes at most ${eventsMax} events and ${bytesMax} bytes`,
  )

/** Gathers the parts of an append as they arrive. @throws EvidenceError REQUEST_INVALID, EVENT_TOO_LARGE. */
export function gatherAppend(bounds: AppendBounds) {
  const requests: (Omit<AppendRequest, 'events'> & { readonly events: EventDraft[] })[] = []
  let events = 0
  let size = 0
  return {
    requests: requests as readonly AppendRequest[],
    add({ head, event }: messages.AppendPart) {
      if (head !== undefined) {
        if (requests.length >= bounds.eventsMax) throw tooLarge(bounds)
        const { project = '', stream = '', attempt } = head
        requests.push({
          project,
          stream,
          expected: expectedOf(head),
          ...(attempt === undefined ? {} : { attempt: attemptOf(attempt) }),
          events: [],
        })
      }
      if (event === undefined) return
      const last = requests.at(-1)
      if (last === undefined)
        throw new EvidenceError('REQUEST_INVALID', 'an event comes before its stream')
      const { data = new Uint8Array(), metadata = new Uint8Array() } = event
      events += 1
      size += data.length + metadata.length
      if (events > bounds.eventsMax || size > bounds.bytesMax) throw tooLarge(bounds)
      last.events.push(draftOf(event))
    },
  }
}

const attemptOf = ({
  workflowId = '',
  activityId = '',
  activityType = '',
}: MessageType<typeof messages.AttemptName>) => ({ workflowId, activityId, activityType })

function expectedOf({
  none,
  exists,
  exactly,
}: MessageType<typeof messages.AppendHead>): ExpectedRevision {
  if (none === true) return 'none'
  if (exists === true) return 'exists'
  return optional(exactly) ?? 'any'
}

const draftOf = ({
  id = '',
  type = '',
  version = '',
  writer = '',
  actor = '',
  contentType = '',
  data = new Uint8Array(),
  metadata = new Uint8Array(),
}: MessageType<typeof messages.Draft>): EventDraft => ({
  id,
  type,
  version,
  // Whoever takes the append compares it with the writers there are.
  writer: writer as Writer,
  actor,
  contentType,
  data,
  metadata,
})

const messageCharactersMax = 1_500

/** An error in the form in which it crosses the wire whole. ASCII, as headers are. */
export function errorText({ code, message: told, details, fields }: EvidenceError): string {
  const whole = JSON.stringify({
    code,
    message: told.slice(0, messageCharactersMax),
    details,
    fields,
  })
  return whole.replaceAll(/[^\x20-\x7e]/g, (letter) =>
    Array.from(
      { length: letter.length },
      (_, i) => `\\u${letter.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}

const isCode = (code: unknown): code is ErrorCode =>
  typeof code === 'string' && Object.hasOwn(errorTable, code)

/** The error that such a text tells of; undefined for anything else. */
export function errorOf(told: string): EvidenceError | undefined {
  try {
    const { code, message: words, details, fields } = JSON.parse(told) as Record<string, unknown>
    if (!isCode(code)) return undefined
    return new EvidenceError(code, String(words), {
      details: { ...(typeof details === 'object' ? details : {}) },
      // What is wrong stands there as the other side wrote it.
      fields: Array.isArray(fields) ? (fields as EvidenceError['fields']) : [],
    })
  } catch {
    // A trailer of somebody else: the status tells enough.
    return undefined
  }
}

/** The error that a standing tells of, or null. */
export const errorNoticed = (
  notice: MessageType<typeof messages.Notice> | undefined,
): EvidenceError | null =>
  notice === undefined
    ? null
    : new EvidenceError(
        isCode(notice.code) ? notice.code : 'LEDGER_READ_ONLY',
        notice.message ?? '',
      )
