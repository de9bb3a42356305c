import { contractOf } from '../contracts/catalog.js'
import type { EventView, LiveEvent } from '../contracts/http.js'
import { categoryOf, Uuid } from '../contracts/identifiers.js'
import { base64Of, hexOf } from '../ledger/encoding.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { dataOf, jsonOf, metadataOf } from '../ledger/facts.js'

type Json = NonNullable<EventView['data']>

const jsonType = /^[^;]*[/+]json\s*(;|$)/i

export const isJsonType = (contentType: string): boolean => jsonType.test(contentType)

/**
 * The data of an event as JSON, in the present version of its contract; undefined when it is no
 * JSON or erased. Clients may name any content type, so that bytes are JSON is seen, not believed.
 */
export function jsonData(event: RecordedEvent): Json | undefined {
  if (event.data === null || !isJsonType(event.leaf.content_type)) return undefined
  const contract = contractOf(event.leaf.type)
  try {
    const data = contract?.writer === event.leaf.writer ? dataOf(contract, event) : jsonOf(event)
    // Both come out of JSON.parse, so that they are JSON.
    return data as Json
  } catch {
    return undefined
  }
}

/** What an event is about, when it says so: its stream names it, or its data. */
export function subjectsOf(event: RecordedEvent): {
  readonly proposal_id?: string
  readonly asset_id?: string
} {
  const { stream } = event.leaf
  const id = stream.slice(stream.indexOf('-') + 1)
  const category = categoryOf(stream)
  const data = jsonData(event)
  const named = typeof data === 'object' && data !== null && !Array.isArray(data) ? data : {}
  const proposal =
    (category === 'proposal' || category === 'workflow') && Uuid.safeParse(id).success
      ? id
      : named['proposal_id']
  const asset = category === 'asset' ? id : named['asset_id']
  const proposalId = Uuid.safeParse(proposal)
  return {
    ...(proposalId.success ? { proposal_id: proposalId.data } : {}),
    ...(typeof asset === 'string' ? { asset_id: asset } : {}),
  }
}

/** An event as a CloudEvent with the ledger's extensions. */
export function eventView(event: RecordedEvent, origin: string): EventView {
  const { leaf, position, leafHash } = event
  const metadata = metadataOf(event)
  const data = jsonData(event)
  const bytes = event.data?.bytes
  return {
    specversion: '1.0',
    id: leaf.id,
    source: metadata.source ?? origin,
    type: leaf.type,
    subject: leaf.stream.slice(leaf.stream.indexOf('-') + 1),
    time: metadata.occurred_at ?? leaf.time,
    datacontenttype: leaf.content_type,
    stream: leaf.stream,
    revision: leaf.revision,
    position: String(position),
    recordedtime: leaf.time,
    project: leaf.project,
    writer: leaf.writer,
    actor: leaf.actor,
    ...(metadata.correlation_id === undefined ? {} : { correlationid: metadata.correlation_id }),
    ...(metadata.causation_id === undefined ? {} : { causationid: metadata.causation_id }),
    ...(metadata.traceparent === undefined ? {} : { traceparent: metadata.traceparent }),
    leafhash: hexOf(leafHash),
    ...(data !== undefined
      ? { data }
      : bytes !== undefined && bytes.length > 0
        ? { data_base64: base64Of(bytes) }
        : {}),
  }
}

/** The live message of an event: references only. */
export function liveEvent(event: RecordedEvent): LiveEvent {
  const { id, project, type, stream, revision, time, actor } = event.leaf
  return {
    position: String(event.position),
    event_id: id,
    project,
    type,
    stream,
    revision,
    time,
    actor,
    ...subjectsOf(event),
  }
}
