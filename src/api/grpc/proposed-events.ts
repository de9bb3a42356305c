import { status } from '@grpc/grpc-js'
import type { EventContract } from '../../contracts/event.js'
import { EvidenceError } from '../../contracts/errors.js'
import { categoryOf, isReserved } from '../../contracts/identifiers.js'
import { batchEventsMax, type ExpectedRevision, type Receipt } from '../../ledger/event-store.js'
import { checkStream } from '../../ledger/stream-name.js'
import type { Identity } from '../../runtime/identities.js'
import { isJsonType } from '../../runtime/event-view.js'
import { contractFor } from '../evidence-contract.js'
import { readJson } from '../json-body.js'
import type { MethodParts } from './parts.js'
import { ProtocolError } from './status.js'
import type { ExpectedRevisionOptions, ProposedMessage } from './stream-messages.js'
import { uuidIn } from './stored-messages.js'

/** Bytes that one append may carry; it is told to clients as the maximum append size. */
export const appendBytesMax = 32 * 1024 * 1024

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

export const tooLarge = (): ProtocolError =>
  new ProtocolError(
    status.INVALID_ARGUMENT,
    'maximum-append-size-exceeded',
    `an append takes at most ${batchEventsMax} events and ${appendBytesMax} bytes`,
    { 'maximum-append-size': String(appendBytesMax) },
  )

/** Gathers the events of one append as they arrive and refuses what is too much, before it is held. */
export function gatherEvents() {
  const events: ProposedEvent[] = []
  let bytes = 0
  return {
    events: events as readonly ProposedEvent[],
    bytes: () => bytes,
    add(message: ProposedMessage) {
      const event = proposedEvent(message)
      bytes += event.data.length + event.metadata.length
      if (events.length >= batchEventsMax || bytes > appendBytesMax) throw tooLarge()
      events.push(event)
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
  { project, name }: Identity,
  { stream, expected, events }: ProposedAppend,
): Promise<readonly Receipt[]> =>
  clients.appendClient({
    project,
    stream,
    expected,
    events: events.map((event) => ({ ...event, actor: name })),
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
  const shown = await ledger.lastRevision(project, stream)
  if (shown !== undefined) return append
  const hidden = await ledger.lastRevision(project, stream, true)
  if (hidden === undefined || (await isRepeated(ledger, append))) return append
  if (expected === 'exists') throw conflictOf(project, append, undefined)
  return { ...append, expected: hidden }
}

/** Ids come before the expected revision: the ledger answers those that it knows. */
const isRepeated = async (ledger: MethodParts['ledger'], { events }: ProposedAppend) =>
  events[0] !== undefined && (await ledger.find(events[0].id)) !== undefined

const conflictOf = (
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
  const revision = await ledger.lastRevision(project, stream)
  const fits =
    expected === 'any' ||
    (expected === 'none' && revision === undefined) ||
    (expected === 'exists' && revision !== undefined) ||
    expected === revision
  if (!fits) throw conflictOf(project, { stream, expected }, revision)
  return revision
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
