import { canonicalBytes, parseJsonStrictly } from '../contracts/canonical-json.js'
import { checkData, type EventContract, readData } from '../contracts/event.js'
import type { EventMetadata } from '../contracts/leaf.js'
import { EventMetadata as EventMetadataSchema } from '../contracts/leaf.js'
import { textOf } from './encoding.js'
import type { EventDraft, RecordedEvent } from './event-store.js'
import { originIn } from './moved-event.js'

/** What somebody wants on record: an event of a contract of the catalogue, not yet encoded. */
export interface Fact<Data = unknown> {
  readonly contract: EventContract<Data>
  readonly id: string
  readonly data: Data
  readonly metadata?: EventMetadata
  /**
   * The JSON bytes in which somebody else wrote the data: kept as they are, and they alone are
   * checked and count; `metadata` are bytes that were sent beside them. Absent = the RFC 8785 form of both.
   */
  readonly received?: {
    readonly bytes: Uint8Array
    readonly contentType: string
    readonly metadata?: Uint8Array
  }
}

/** A fact whose data is checked by the compiler against its contract. */
export const fact = <Data>(
  contract: EventContract<Data>,
  id: string,
  data: NoInfer<Data>,
  metadata?: EventMetadata,
): Fact<Data> => ({ contract, id, data, ...(metadata === undefined ? {} : { metadata }) })

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Checks a fact against its contract and encodes it. @throws EvidenceError EVENT_INVALID. */
export const encodeFact = <Data>(fact: Fact<Data>, actor: string): EventDraft => ({
  id: fact.id,
  type: fact.contract.type,
  version: fact.contract.version,
  writer: fact.contract.writer,
  actor,
  contentType: fact.received?.contentType ?? 'application/json',
  data: encodeData(fact),
  metadata: fact.received?.metadata ?? canonicalBytes(fact.metadata ?? {}),
})

function encodeData<Data>({ contract, data, received }: Fact<Data>): Uint8Array {
  if (received === undefined) return canonicalBytes(checkData(contract, data))
  checkData(contract, parseJsonStrictly(textOf(received.bytes)))
  return received.bytes
}

/** The JSON data of a recorded event as it was stored; undefined once erased. */
export const jsonOf = (event: RecordedEvent): unknown =>
  event.data === null ? undefined : (JSON.parse(decoder.decode(event.data.bytes)) as unknown)

/** The data of a recorded event in the present version of its contract; undefined once erased. */
export function dataOf<Data>(
  contract: EventContract<Data>,
  event: RecordedEvent,
): Data | undefined {
  if (event.data === null) return undefined
  return readData(contract, event.leaf.version, jsonOf(event))
}

/** Whether the event is one of this contract. */
export const isOf = (contract: EventContract, event: RecordedEvent): boolean =>
  event.leaf.type === contract.type

/**
 * The metadata of a recorded event; empty once erased or when a client sent other bytes. An event that was moved here
 * occurred when it was recorded there, unless it says otherwise.
 */
export function metadataOf(event: RecordedEvent): EventMetadata {
  if (event.metadata === null) return {}
  try {
    const value: unknown = JSON.parse(decoder.decode(event.metadata.bytes))
    const origin = originIn(event.metadata.bytes)
    if (origin === undefined) return EventMetadataSchema.safeParse(value).data ?? {}
    const { $imported: _, ...rest } = value as Record<string, unknown>
    return { occurred_at: origin.created, ...EventMetadataSchema.safeParse(rest).data }
  } catch {
    // Bytes of a gRPC client need not be JSON; they are kept as they are and mean nothing to us.
    return {}
  }
}
