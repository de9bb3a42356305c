import { categoryOf } from '../../contracts/identifiers.js'
import type { RecordedEvent } from '../../ledger/event-store.js'
import { EvidenceError } from '../../contracts/errors.js'
import { isMetadataStream } from '../../ledger/stream-name.js'
import type { Resolved } from './links.js'
import { type RecordedMessage, type StreamIdentifier, type Uuid } from './messages.js'
import type { ReadResponse, ReadOptions } from './stream-messages.js'

/**
 * The ledger's own bookkeeping is shown as system streams and system events, beginning with "$": so that
 * clients which leave out what begins so see what others have recorded, and nothing else.
 */
const systemCategories = ['ledger', 'key', 'projection']
const isSystem = (stream: string): boolean => systemCategories.includes(categoryOf(stream))

export const shownName = ({ leaf }: RecordedEvent): { stream: string; type: string } =>
  isSystem(leaf.stream)
    ? { stream: `$${leaf.stream}`, type: `$${leaf.type}` }
    : { stream: leaf.stream, type: leaf.type }

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The stream that a request names, by its name on the ledger. @throws EvidenceError STREAM_INVALID. */
export function streamIn(identifier: StreamIdentifier | undefined): string {
  const bytes = identifier?.streamName
  if (bytes === undefined || bytes.length === 0)
    throw new EvidenceError('STREAM_INVALID', 'the request names no stream')
  try {
    const stream = strictUtf8.decode(bytes)
    return stream.startsWith('$') && isSystem(stream.slice(1)) ? stream.slice(1) : stream
  } catch (cause) {
    throw new EvidenceError('STREAM_INVALID', 'the name of the stream is not UTF-8', { cause })
  }
}

export const identifierOf = (stream: string): StreamIdentifier => ({
  streamName: Buffer.from(stream),
})

/** Of metadata clients are told what was set last, from wherever they read: some read it forwards. */
export const firstTold = (stream: string, last: number): number =>
  isMetadataStream(stream) ? last : 0

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** An id in either of its two forms, in lower case. @throws EvidenceError REQUEST_INVALID. */
export function uuidIn(uuid: Uuid | undefined): string {
  const { text, structured } = uuid ?? {}
  if (text !== undefined) {
    const lower = text.toLowerCase()
    if (uuidForm.test(lower)) return lower
  } else if (structured !== undefined) {
    const { mostSignificantBits: high = 0n, leastSignificantBits: low = 0n } = structured
    const hex = [high, low]
      .map((half) => BigInt.asUintN(64, BigInt(half)).toString(16).padStart(16, '0'))
      .join('')
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }
  throw new EvidenceError('REQUEST_INVALID', 'an id in the request is no UUID')
}

export function uuidOf(id: string, structured: boolean): Uuid {
  if (!structured) return { text: id }
  const hex = id.replaceAll('-', '')
  return {
    structured: {
      mostSignificantBits: BigInt.asIntN(64, BigInt(`0x${hex.slice(0, 16)}`)),
      leastSignificantBits: BigInt.asIntN(64, BigInt(`0x${hex.slice(16)}`)),
    },
  }
}

export const wantsStructured = (option: ReadOptions['uuidOption']): boolean =>
  option?.structured !== undefined

const noBytes = new Uint8Array(0)
/** The unit of `created`: 100 ns. */
const ticksPerMs = 10_000

/** An event as this protocol tells it. What was erased is empty and is no JSON. */
export function recordedMessage(event: RecordedEvent, structured: boolean): RecordedMessage {
  const { leaf, position, data, metadata } = event
  const { stream, type } = shownName(event)
  return {
    id: uuidOf(leaf.id, structured),
    streamIdentifier: identifierOf(stream),
    streamRevision: Number(leaf.revision),
    prepare: position,
    commit: position,
    metadata: {
      type,
      'content-type': data === null ? 'application/octet-stream' : leaf.content_type,
      created: String(Date.parse(leaf.time) * ticksPerMs),
    },
    customMetadata: metadata?.bytes ?? noBytes,
    data: data?.bytes ?? noBytes,
  }
}

export const eventResponse = (event: RecordedEvent, structured: boolean): ReadResponse => ({
  event: { event: recordedMessage(event, structured), commit: event.position },
})

/** A link beside what it leads to; its place is that of the link. */
export const linkResponse = ({ event, link }: Resolved, structured: boolean): ReadResponse => ({
  event: {
    event: event === undefined ? undefined : recordedMessage(event, structured),
    link: recordedMessage(link, structured),
    commit: link.position,
  },
})

/** The place of an event in `$all`: both of its numbers are the position on the ledger. */
export const positionOf = (position: number) => ({ commit: position, prepare: position })

export const nowOf = (nowMs: number) => ({
  seconds: Math.floor(nowMs / 1_000),
  nanos: (nowMs % 1_000) * 1_000_000,
})
