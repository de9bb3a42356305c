import { categoryOf } from '../contracts/identifiers.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { metadataOf } from '../ledger/facts.js'
import { placeOf, type Projector, timeCellOf } from './projector.js'
import type { Row } from './warehouse.js'

/** Larger data stays in the ledger alone; its row says so. */
export const eventDataBytesMax = 1_048_576

const decoder = new TextDecoder('utf-8', { fatal: true })

function dataCells({ data }: RecordedEvent): Row {
  if (data === null) return { data_state: 'erased', data_bytes: 0, data: null }
  const size = { data_bytes: data.bytes.length }
  if (data.bytes.length > eventDataBytesMax) return { data_state: 'too-large', ...size, data: null }
  try {
    return { data_state: 'text', ...size, data: decoder.decode(data.bytes) }
  } catch {
    // Not UTF-8: a client's own format. It is no text, and the row says so.
    return { data_state: 'binary', ...size, data: null }
  }
}

/** Every leaf as it stands: nothing is interpreted, so no event can stop this table. */
export const events: Projector = {
  table: 'events',
  version: 1,
  types: 'all',
  rows({ event }) {
    const { leaf } = event
    const metadata = metadataOf(event)
    return [
      {
        ...placeOf(event),
        stream: leaf.stream,
        category: categoryOf(leaf.stream),
        revision: leaf.revision,
        type: leaf.type,
        type_seq: leaf.type_seq,
        version: leaf.version,
        writer: leaf.writer,
        actor: leaf.actor,
        content_type: leaf.content_type,
        data_sha256: leaf.data_sha256,
        metadata_sha256: leaf.metadata_sha256,
        prev: leaf.prev,
        ...dataCells(event),
        occurred_at: timeCellOf(metadata.occurred_at),
        source: metadata.source ?? null,
        source_id: metadata.source_id ?? null,
        correlation_id: metadata.correlation_id ?? null,
        causation_id: metadata.causation_id ?? null,
        traceparent: metadata.traceparent ?? null,
      },
    ]
  },
}
