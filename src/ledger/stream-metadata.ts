import { canonicalBytes } from '../contracts/canonical-json.js'
import { EvidenceError } from '../contracts/errors.js'
import { fieldProblems } from '../contracts/event.js'
import type { Writer } from '../contracts/identifiers.js'
import {
  StoredStreamMetadata,
  StreamMetadata,
  streamMetadataBytesMax,
  streamMetadataType,
} from '../contracts/stream-metadata.js'
import { textOf } from './encoding.js'
import type { AppendRequest, ExpectedRevision, RecordedEvent } from './event-store.js'
import { isMetadataStream, metadataStreamOf } from './stream-name.js'

/** What a read of a stream shows; absent members show everything. */
export interface Visibility {
  readonly maxAgeSeconds?: number
  readonly maxCount?: number
  readonly truncateBefore?: number
}

/** The metadata of a stream as it was last set. */
export interface StreamMetadataRecord {
  /** Revision in the metadata stream: what the next change expects. */
  readonly revision: number
  readonly metadata: StreamMetadata
}

/** Whether the metadata hides anything at all. */
export const hidesNothing = ({ maxAgeSeconds, maxCount, truncateBefore }: Visibility): boolean =>
  maxAgeSeconds === undefined && maxCount === undefined && truncateBefore === undefined

export const visibilityOf = ({ $maxAge, $maxCount, $tb }: StreamMetadata): Visibility => ({
  ...($maxAge === undefined ? {} : { maxAgeSeconds: $maxAge }),
  ...($maxCount === undefined ? {} : { maxCount: $maxCount }),
  ...($tb === undefined ? {} : { truncateBefore: $tb }),
})

/** Setting a stream's metadata as a request to append: an ordinary event of its metadata stream. */
export const metadataRequest = (
  {
    project,
    stream,
    expected,
    id,
    actor,
    metadata,
  }: {
    readonly project: string
    readonly stream: string
    /** Revision of the metadata as it was last set. */
    readonly expected: ExpectedRevision
    readonly id: string
    readonly actor: string
    readonly metadata: StreamMetadata
  },
  writer: Writer,
): AppendRequest => ({
  project,
  stream: metadataStreamOf(stream),
  expected,
  events: [
    {
      id,
      type: streamMetadataType,
      version: '0',
      writer,
      actor,
      contentType: 'application/json',
      data: canonicalBytes(metadata),
      metadata: canonicalBytes({}),
    },
  ],
})

/**
 * Checks what goes onto a metadata stream, whoever sends it: readers rely on what stands there.
 *
 * @throws EvidenceError REQUEST_INVALID, EVENT_TOO_LARGE.
 */
export function checkMetadataRequest({ stream, events }: AppendRequest): void {
  if (!isMetadataStream(stream)) return
  events.forEach(({ type, data }, i) => {
    if (type !== streamMetadataType)
      throw refused('must be $metadata: the stream holds nothing else', `/events/${i}/type`)
    if (data.length > streamMetadataBytesMax)
      throw new EvidenceError(
        'EVENT_TOO_LARGE',
        `the metadata of a stream has at most ${streamMetadataBytesMax} bytes`,
      )
    const parsed = StreamMetadata.safeParse(jsonOf(data))
    if (parsed.success) return
    const fields = fieldProblems(parsed.error, `/events/${i}/data`)
    throw new EvidenceError(
      'REQUEST_INVALID',
      `the metadata of a stream is malformed at ${fields.map(({ pointer }) => pointer).join(', ')}`,
      { fields },
    )
  })
}

/** The metadata that an event of a metadata stream sets; undefined when its data was erased since. */
export const metadataIn = ({ data }: RecordedEvent): StreamMetadata | undefined =>
  data === null ? undefined : StoredStreamMetadata.safeParse(jsonOf(data.bytes)).data

/** Undefined for what is no JSON: no metadata either. */
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes))
  } catch {
    return undefined
  }
}

const refused = (detail: string, pointer: string) =>
  new EvidenceError('REQUEST_INVALID', `the metadata of a stream cannot be set: ${detail}`, {
    fields: [{ pointer, detail }],
  })

/**
 * The first revision that is shown of a stream of `size` events; `size` when all are hidden. What is
 * hidden is always a beginning: revisions only grow, and ledger time never decreases.
 */
export async function firstShown(
  { maxAgeSeconds, maxCount, truncateBefore }: Visibility,
  size: number,
  nowMs: number,
  timeMsOf: (revision: number) => Promise<number>,
): Promise<number> {
  const counted = Math.max(truncateBefore ?? 0, maxCount === undefined ? 0 : size - maxCount)
  let low = Math.min(counted, size)
  if (maxAgeSeconds === undefined) return low
  const oldestMs = nowMs - maxAgeSeconds * 1_000
  let high = size
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((await timeMsOf(middle)) < oldestMs) low = middle + 1
    else high = middle
  }
  return low
}
