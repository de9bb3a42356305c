import { status } from '@grpc/grpc-js'
import type { EventContract } from '../../contracts/event.js'
import { EvidenceError } from '../../contracts/errors.js'
import { categoryOf, isReserved } from '../../contracts/identifiers.js'
import { batchEventsMax, type ExpectedRevision, type Receipt } from '../../ledger/event-store.js'
import { checkStream } from '../../ledger/stream-name.js'
import type { ClientAppend } from '../../ledger/writers.js'
import type { Identity } from '../../runtime/identities.js'
import { isJsonType } from '../../runtime/event-view.js'
import { contractFor } from '../evidence-contract.js'
import { readJson } from '../json-body.js'
import type { MethodParts } from './parts.js'
import { appendBytesMax, appendTooLarge, ProtocolError } from './status.js'
import type { ExpectedRevisionOptions, ProposedMessage } from './stream-messages.js'
import { uuidIn } from './stored-messages.js'

/** What is read, and thrown away, of an append that is too large before its client is interrupted. */
const discardedBytesMax = 512 * 1024 * 1024

export interface ProposedEvent {
  readonly id: string
  readonly type: string
  readonly contentType: string
  readonly data: Uint8Array
  readonly metadata: Uint8Array
}

/** Events that a client wants appended together. */
export interface ProposedAppend {
  readonly stream: string
  readonly expected: ExpectedRevision
  readonly events: readonly ProposedEvent[]
}

export interface Appended {
  /** The last revision of the stream; undefined when it has none. */
  readonly revision: number | undefined
  readonly position: number | undefined
}

/**
 * Gathers the events of one append as they arrive. Of what is too much nothing is held; it is refused when the
 * client has said all of it, because clients that are interrupted while they write tell their users of that
 * instead of the reason.
 */
export function gatherEvents() {
  const events: ProposedEvent[] = []
  let bytes = 0
  let tooMuch = false
  return {
    events: events as readonly ProposedEvent[],
    /** Bytes that are held. */
    bytes: () => (tooMuch ? 0 : bytes),
    add(message: ProposedMessage) {
      const event = proposedEvent(message)
      bytes += event.data.length + event.metadata.length
      tooMuch ||= events.length >= batchEventsMax || bytes > appendBytesMax
      if (bytes > discardedBytesMax) throw appendTooLarge()
      if (tooMuch) events.length = 0
      else events.push(event)
    },
    /** @throws ProtocolError maximum-append-size-exceeded. */
    requireAll() {
      if (tooMuch) throw appendTooLarge()
    },
  }
}

const noBytes = new Uint8Array(0)

function proposedEvent({ id, metadata = {}, data, customMetadata }: ProposedMessage) {
  const { type, 'content-type': contentType } = metadata
  if (type === undefined || contentType === undefined) {
    throw new ProtocolError(
      status.INVALID_ARGUMENT,
      'missing-required-metadata-property',
      'an event needs "type" and "content-type" in its metadata',
      { 'required-metadata-properties': 'type,content-type' },
    )
  }
  return {
    id: uuidIn(id),
    type,
    contentType,
    data: data ?? noBytes,
    metadata: customMetadata ?? noBytes,
  }
}

export function expectedIn(options: ExpectedRevisionOptions): ExpectedRevision {
  if (options.noStream !== undefined) return 'none'
  if (options.streamExists !== undefined) return 'exists'
  const { revision } = options
  return revision === undefined ? 'any' : Math.min(Number(revision), Number.MAX_SAFE_INTEGER)
}

/**
 * Appends what a client proposes, with the writer that its stream and types allow: facts about evidence by
 * their contract, everything else as the client's own events outside the reserved categories.
 *
 * @throws EvidenceError as the event store; WRITER_REFUSED, STREAM_INVALID, EVENT_INVALID.
 */
export async function appendProposed(
  parts: MethodParts,
  caller: Identity,
  append: ProposedAppend,
): Promise<Appended> {
  const { stream, events } = append
  const { project } = caller
  checkStream(project, stream)
  if (events.length === 0) return nothingAppended(parts, project, append)
  const contracts = events.map(({ type }) => contractFor(type))
  const facts = contracts.filter((contract) => contract !== undefined)
  const known = await beyondHidden(parts, project, append)
  const receipts =
    facts.length === 0
      ? await appendClient(parts, caller, known)
      : await recordFacts(parts, caller, known, facts)
  const last = receipts.at(-1)
  return { revision: last?.revision, position: last?.position ?? undefined }
}

const appendClient = (
  { clients }: MethodParts,
  user: Identity,
  append: ProposedAppend,
): Promise<readonly Receipt[]> => clients.appendClient(clientAppend(user, append))

export const clientAppend = (
  user: Identity,
  { stream, expected, events }: ProposedAppend,
): ClientAppend => ({
  project: user.project,
  stream,
  expected,
  events: events.map((event) => ({ ...event, actor: user.name })),
  user,
})

async function recordFacts(
  { recorder }: MethodParts,
  { project, name }: Identity,
  { stream, expected, events }: ProposedAppend,
  contracts: readonly EventContract[],
): Promise<readonly Receipt[]> {
  if (contracts.length < events.length)
    throw new EvidenceError(
      'WRITER_REFUSED',
      'one append holds either facts of contracts or events of a client, not both',
    )
  const facts = events.map(({ id, contentType, data, metadata }, i) => {
    const contract = contracts[i] as EventContract
    if (!isJsonType(contentType))
      throw new EvidenceError('REQUEST_INVALID', `the data of ${contract.type} is JSON`)
    // UTF-8, depth and keys are checked here, where the message can name what is wrong.
    readJson(Buffer.from(data))
    return { contract, id, data: undefined, received: { bytes: data, contentType, metadata } }
  })
  return recorder.record({ project, stream, expected, actor: name, facts })
}

/**
 * A stream whose events are all hidden, because it was deleted, counts as none to its clients: it may be begun
 * again, and keeps its numbers.
 */
async function beyondHidden(
  { ledger }: MethodParts,
  project: string,
  append: ProposedAppend,
): Promise<ProposedAppend> {
  const { stream, expected } = append
  if (expected !== 'none' && expected !== 'exists') return append
  const { last, counted } = await lastRevisionOf(ledger, project, stream)
  if (last === undefined || counted !== undefined || (await isRepeated(ledger, append)))
    return append
  if (expected === 'exists') throw conflictOf(project, append, undefined)
  return { ...append, expected: last }
}

/**
 * The last revision of a stream, and the one that its clients count: none when it was deleted. What is hidden for
 * its age or number is counted on.
 */
export async function lastRevisionOf(
  ledger: MethodParts['ledger'],
  project: string,
  stream: string,
): Promise<{ readonly last: number | undefined; readonly counted: number | undefined }> {
  const shown = await ledger.lastRevision(project, stream)
  if (shown !== undefined) return { last: shown, counted: shown }
  const last = await ledger.lastRevision(project, stream, true)
  if (last === undefined) return { last, counted: undefined }
  const { $tb = 0 } = (await ledger.streamMetadata(project, stream))?.metadata ?? {}
  return { last, counted: $tb > last ? undefined : last }
}

/** Whether a stream whose last revision is this one stands as expected. */
export const isAsExpected = (expected: ExpectedRevision, revision: number | undefined): boolean =>
  expected === 'any' ||
  (expected === 'none' && revision === undefined) ||
  (expected === 'exists' && revision !== undefined) ||
  expected === revision

/** Ids come before the expected revision: the ledger answers those that it knows. */
export const isRepeated = async (
  ledger: MethodParts['ledger'],
  { events }: Pick<ProposedAppend, 'events'>,
) => events[0] !== undefined && (await ledger.find(events[0].id)) !== undefined

export const conflictOf = (
  project: string,
  { stream, expected }: Pick<ProposedAppend, 'stream' | 'expected'>,
  actual: number | undefined,
) =>
  new EvidenceError('REVISION_CONFLICT', `the stream ${stream} is not as expected`, {
    details: { project, stream, expected, actual: actual ?? null },
  })

/** Whether a stream stands as expected. @throws EvidenceError REVISION_CONFLICT. */
export async function requireRevision(
  { ledger }: MethodParts,
  project: string,
  { stream, expected }: Pick<ProposedAppend, 'stream' | 'expected'>,
): Promise<number | undefined> {
  const { counted } = await lastRevisionOf(ledger, project, stream)
  if (isAsExpected(expected, counted)) return counted
  throw conflictOf(project, { stream, expected }, counted)
}

/** An append of no events asks only whether the stream is as expected. */
async function nothingAppended(
  parts: MethodParts,
  project: string,
  append: ProposedAppend,
): Promise<Appended> {
  if (isReserved(append.stream))
    throw new EvidenceError(
      'WRITER_REFUSED',
      `the stream is in the reserved category ${categoryOf(append.stream)}`,
    )
  return { revision: await requireRevision(parts, project, append), position: undefined }
}

/** The revision that a conflict met; undefined when there was no event. */
export function actualIn(error: unknown): { readonly revision: number | undefined } | undefined {
  if (!(error instanceof EvidenceError) || error.code !== 'REVISION_CONFLICT') return undefined
  const { actual } = error.details
  return { revision: typeof actual === 'number' ? actual : undefined }
}
