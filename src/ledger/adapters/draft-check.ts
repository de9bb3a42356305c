import { randomBytes } from 'node:crypto'
import { contractOf } from '../../contracts/catalog.js'
import { EvidenceError } from '../../contracts/errors.js'
import { Decimal, Uuid, writers } from '../../contracts/identifiers.js'
import { LeafName, saltBytes } from '../../contracts/leaf.js'
import { hexOf } from '../encoding.js'
import {
  type AppendRequest,
  batchEventsMax,
  dataBytesMax,
  type EventDraft,
  metadataBytesMax,
} from '../event-store.js'
import { dataDigest, metadataDigest } from '../leaf.js'
import { nodeCrypto } from '../node-crypto.js'
import { checkStream } from '../stream-name.js'

/** Bytes of data and metadata that one request may carry in all. */
export const requestBytesMax = 64 * 1024 * 1024

/** One event with its salts and digests: everything about it that does not depend on its place. */
export interface PreparedEvent {
  readonly project: string
  readonly stream: string
  readonly draft: EventDraft
  readonly dataSalt: Uint8Array
  readonly metadataSalt: Uint8Array
  readonly dataSha256: string
  readonly metadataSha256: string
}

/** What is appended together or not at all. */
export interface PreparedRequest {
  /** The streams it goes to and the revision each must have; none stands here twice. */
  readonly streams: readonly Pick<AppendRequest, 'project' | 'stream' | 'expected'>[]
  readonly events: readonly PreparedEvent[]
  /** Whether all of it may use the disk reserve. */
  readonly fromReserve: boolean
  /** Bytes of data and metadata together. */
  readonly bytes: number
}

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
  if (requests.length < 1) throw invalid('must hold a request', '/requests')
  const streams = new Set<string>()
  const ids = new Set<string>()
  let bytes = 0
  for (const [i, request] of requests.entries()) {
    const pointer = requests.length === 1 ? '' : `/requests/${i}`
    checkTarget(request, pointer)
    const stream = `${request.project}\n${request.stream}`
    if (streams.has(stream)) throw invalid('names a stream twice', `${pointer}/stream`)
    streams.add(stream)
    if (ids.size + request.events.length > batchEventsMax)
      throw new EvidenceError('EVENT_TOO_LARGE', `a request holds at most ${batchEventsMax} events`)
    for (const [n, draft] of request.events.entries()) {
      checkDraft(draft, `${pointer}/events/${n}`)
      if (ids.has(draft.id))
        throw new EvidenceError('EVENT_ID_REUSED', `the id ${draft.id} stands twice in one request`)
      ids.add(draft.id)
      bytes += draft.data.length + draft.metadata.length
    }
  }
  if (bytes > requestBytesMax)
    throw new EvidenceError('EVENT_TOO_LARGE', `a request carries at most ${requestBytesMax} bytes`)
}

function checkTarget({ project, stream, expected, events }: AppendRequest, pointer: string): void {
  checkStream(project, stream)
  const isRevision = typeof expected === 'number' && Number.isSafeInteger(expected) && expected >= 0
  if (!isRevision && expected !== 'any' && expected !== 'none' && expected !== 'exists') {
    throw invalid('must be any, none, exists or a revision', `${pointer}/expected`)
  }
  if (events.length < 1) throw invalid('must hold an event', `${pointer}/events`)
}

function checkDraft(draft: EventDraft, pointer: string): void {
  if (!Uuid.safeParse(draft.id).success) throw invalid('must be a lower-case UUID', `${pointer}/id`)
  if (!Decimal.safeParse(draft.version).success)
    throw invalid('must be a decimal number', `${pointer}/version`)
  if (!writers.includes(draft.writer)) throw invalid('is no writer', `${pointer}/writer`)
  for (const field of ['type', 'actor', 'contentType'] as const) {
    const checked = LeafName.safeParse(draft[field])
    if (!checked.success)
      throw invalid(
        `must have ${checked.error.issues.map(({ message }) => message).join(', ')}`,
        `${pointer}/${field}`,
      )
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

/**
 * Copies the bytes, so that the caller may reuse its buffers, and salts and digests them. This
 * runs before the request enters the queue, while the disk is busy with the group before.
 */
export function prepareRequests(requests: readonly AppendRequest[]): PreparedRequest {
  const events = requests.flatMap(({ project, stream, events }) =>
    events.map((draft) => prepareEvent(project, stream, draft)),
  )
  return {
    streams: requests.map(({ project, stream, expected }) => ({ project, stream, expected })),
    events,
    fromReserve: events.every(mayUseReserve),
    bytes: events.reduce((sum, { draft }) => sum + draft.data.length + draft.metadata.length, 0),
  }
}

/** By contract: the ledger's own events, and those that tell how something ended that had begun. */
function mayUseReserve({ stream, draft }: PreparedEvent): boolean {
  // What the ledger records for a client is the client's wish.
  if (draft.writer === 'ledger') return !stream.startsWith('$')
  const contract = contractOf(draft.type)
  return contract?.fromReserve === true && contract.writer === draft.writer
}

function prepareEvent(project: string, stream: string, draft: EventDraft): PreparedEvent {
  const salts = randomBytes(2 * saltBytes)
  const dataSalt = salts.subarray(0, saltBytes)
  const metadataSalt = salts.subarray(saltBytes)
  const data = Uint8Array.from(draft.data)
  const metadata = Uint8Array.from(draft.metadata)
  return {
    project,
    stream,
    draft: { ...draft, data, metadata },
    dataSalt,
    metadataSalt,
    dataSha256: hexOf(dataDigest(nodeCrypto.sha256, dataSalt, data)),
    metadataSha256: hexOf(metadataDigest(nodeCrypto.sha256, metadataSalt, metadata)),
  }
}
