import { contractOf } from '../../contracts/catalog.js'
import { EvidenceError } from '../../contracts/errors.js'
import { isDecimal, isUuid, writers } from '../../contracts/identifiers.js'
import { isLimited, LeafName, leafNameBytesMax } from '../../contracts/leaf.js'
import {
  type AppendRequest,
  batchEventsMax,
  dataBytesMax,
  type EventDraft,
  type ExpectedRevision,
  metadataBytesMax,
} from '../event-store.js'
import { checkStream } from '../stream-name.js'
import { boundedCache } from './bounded-cache.js'
import { createByteCopies } from './byte-copies.js'
import { nameKey } from './recent-events.js'

/** Bytes of data and metadata that one request may carry in all. */
export const requestBytesMax = 64 * 1024 * 1024
/** Bytes that the leaves of one request may take: with its payloads it fits a group (`groupBytesMax`). */
export const requestLeafBytesMax = 56 * 1024 * 1024
/** A leaf but for its names, and the headers of its record. */
const leafFrameBytes = 1_024
/** What a character of a name takes at most in a leaf, as UTF-8 or escaped. */
const nameCharacterBytes = 3

/** One event of a request, its bytes copied. `streamKey` and `typeKey` are its names by `nameKey`. */
export interface PreparedEvent extends EventDraft {
  readonly project: string
  readonly stream: string
  readonly streamKey: string
  readonly typeKey: string
  /** What the commit of this event does not choose, because it was settled elsewhere; absent = it chooses. */
  readonly settled?: SettledParts
}

/** Ledger time and salts of an event that was appended to a cluster before it is sequenced here. */
export interface SettledParts {
  /** Milliseconds since 1970; never below that of the leaf before. */
  readonly timeMs: number
  readonly dataSalt: Uint8Array
  readonly metadataSalt: Uint8Array
}

/** A stream that a request goes to, or asks about, and the revision it must have before all of it. */
export interface PreparedTarget {
  readonly project: string
  readonly stream: string
  readonly streamKey: string
  readonly expected: ExpectedRevision
}

/** What is appended together or not at all. */
export interface PreparedRequest {
  readonly targets: readonly PreparedTarget[]
  readonly events: readonly PreparedEvent[]
  /** Whether all of it may use the disk reserve. */
  readonly fromReserve: boolean
  /** Bytes of data and metadata together. */
  readonly bytes: number
}

/** Types are few: for so many the key is remembered. */
const typeKeysMax = 4_096

const invalid = (detail: string, pointer: string) =>
  new EvidenceError('REQUEST_INVALID', `the event cannot be appended: ${pointer} ${detail}`, {
    fields: [{ pointer, detail }],
  })

/**
 * Checks what is to be appended together, as far as that needs no ledger.
 *
 * @throws EvidenceError STREAM_INVALID, REQUEST_INVALID, EVENT_TOO_LARGE, EVENT_ID_REUSED.
 */
export function checkRequests(requests: readonly AppendRequest[]): void {
  const [first] = requests
  if (first === undefined) throw invalid('must hold a request', '/requests')
  const isAlone = requests.length === 1 && first.events.length === 1
  if (requests.length > batchEventsMax)
    throw new EvidenceError('EVENT_TOO_LARGE', `at most ${batchEventsMax} requests go together`)
  let events = 0
  let bytes = 0
  let leafBytes = 0
  for (const [i, request] of requests.entries()) {
    const pointer = requests.length === 1 ? '' : `/requests/${i}`
    checkTarget(request, pointer)
    events += request.events.length
    if (events > batchEventsMax)
      throw new EvidenceError('EVENT_TOO_LARGE', `a request holds at most ${batchEventsMax} events`)
    for (let n = 0; n < request.events.length; n += 1) {
      const draft = request.events[n]
      if (draft === undefined) continue
      checkDraft(draft, pointer, n)
      bytes += draft.data.length + draft.metadata.length
      leafBytes += leafBytesOf(request, draft)
    }
  }
  if (events === 0) throw invalid('must hold an event', '/events')
  if (bytes > requestBytesMax || leafBytes > requestLeafBytesMax)
    throw new EvidenceError('EVENT_TOO_LARGE', `a request carries at most ${requestBytesMax} bytes`)
  // One event cannot stand twice: the usual request is done here.
  if (!isAlone) checkOnce(requests)
}

/** What the leaf of an event takes at most, with its share of the group. */
const leafBytesOf = ({ project, stream }: AppendRequest, draft: EventDraft): number =>
  leafFrameBytes +
  nameCharacterBytes *
    (project.length +
      stream.length +
      draft.type.length +
      draft.contentType.length +
      draft.actor.length)

/** No id stands twice in what is appended together, and no stream is expected to be twice. */
function checkOnce(requests: readonly AppendRequest[]): void {
  const streams = new Set<string>()
  const ids = new Set<string>()
  for (const [i, { project, stream, expected, events }] of requests.entries()) {
    const key = nameKey(project, stream)
    if (streams.has(key) && expected !== 'any')
      throw invalid('expects something of a stream twice', `/requests/${i}/stream`)
    streams.add(key)
    for (const { id } of events) {
      if (ids.has(id))
        throw new EvidenceError('EVENT_ID_REUSED', `the id ${id} stands twice in one request`)
      ids.add(id)
    }
  }
}

function checkTarget({ project, stream, expected }: AppendRequest, pointer: string): void {
  checkStream(project, stream)
  const isRevision = typeof expected === 'number' && Number.isSafeInteger(expected) && expected >= 0
  if (!isRevision && expected !== 'any' && expected !== 'none' && expected !== 'exists') {
    throw invalid('must be any, none, exists or a revision', `${pointer}/expected`)
  }
}

const isKnownWriter: ReadonlySet<string> = new Set(writers)
const namedFields = ['type', 'actor', 'contentType'] as const

function checkDraft(draft: EventDraft, request: string, event: number): void {
  const at = (field: string) => `${request}/events/${event}/${field}`
  if (!isUuid(draft.id)) throw invalid('must be a lower-case UUID', at('id'))
  if (!isDecimal(draft.version)) throw invalid('must be a decimal number', at('version'))
  if (!isKnownWriter.has(draft.writer)) throw invalid('is no writer', at('writer'))
  for (const field of namedFields) {
    if (isLimited(draft[field], leafNameBytesMax)) continue
    const issues = LeafName.safeParse(draft[field]).error?.issues ?? []
    throw invalid(`must have ${issues.map(({ message }) => message).join(', ')}`, at(field))
  }
  if (draft.data.length > dataBytesMax) {
    throw new EvidenceError(
      'EVENT_TOO_LARGE',
      `the event ${draft.id} carries ${draft.data.length} bytes of data, at most ${dataBytesMax} are taken`,
    )
  }
  if (draft.metadata.length > metadataBytesMax) {
    throw new EvidenceError(
      'EVENT_TOO_LARGE',
      `the event ${draft.id} carries ${draft.metadata.length} bytes of metadata, at most ${metadataBytesMax} are taken`,
    )
  }
}

/** Takes requests over, their bytes copied, so that the caller may reuse its buffers. */
export function createRequestTaker(): (requests: readonly AppendRequest[]) => PreparedRequest {
  const copies = createByteCopies()
  const typeKeys = boundedCache<string, { readonly project: string; readonly key: string }>(
    typeKeysMax,
  )
  const typeKeyOf = (project: string, type: string): string => {
    const known = typeKeys.get(type)
    if (known?.project === project) return known.key
    const key = nameKey(project, type)
    typeKeys.set(type, { project, key })
    return key
  }
  const take = ({ project, stream }: AppendRequest, streamKey: string, draft: EventDraft) => ({
    id: draft.id,
    type: draft.type,
    version: draft.version,
    writer: draft.writer,
    actor: draft.actor,
    contentType: draft.contentType,
    data: copies.take(draft.data),
    metadata: copies.take(draft.metadata),
    project,
    stream,
    streamKey,
    typeKey: typeKeyOf(project, draft.type),
  })
  return (requests) => {
    const targets: PreparedTarget[] = []
    const events: PreparedEvent[] = []
    let fromReserve = true
    let bytes = 0
    for (const request of requests) {
      const { project, stream, expected } = request
      const streamKey = nameKey(project, stream)
      targets.push({ project, stream, streamKey, expected })
      for (const draft of request.events) {
        events.push(take(request, streamKey, draft))
        fromReserve &&= mayUseReserve(stream, draft)
        bytes += draft.data.length + draft.metadata.length
      }
    }
    return { targets, events, fromReserve, bytes }
  }
}

/** By contract: the ledger's own events, and those that tell how something ended that had begun. */
function mayUseReserve(stream: string, { type, writer }: EventDraft): boolean {
  // What the ledger records for a client is the client's wish.
  if (writer === 'ledger') return !stream.startsWith('$')
  const contract = contractOf(type)
  return contract?.fromReserve === true && contract.writer === writer
}
