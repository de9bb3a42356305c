import { Erasures } from '../contracts/erasure.js'
import type { Writer } from '../contracts/identifiers.js'
import type { AppendRequest, Receipt } from './event-store.js'

/**
 * Erases payloads in place. The leaf, every proof and the place of an erased event stay; its bytes
 * and their salt are gone, and reading answers null for them.
 */
export interface PayloadEraser {
  /**
   * Appends one event whose data tells of erasures (`Erasures`), then overwrites what it names.
   * When it answers, both are durable. The same event again finishes what an earlier call began.
   *
   * @throws EvidenceError as `append`; REQUEST_INVALID when the event tells of no erasure or names
   * what is never erased; EVENT_NOT_FOUND. LEDGER_READ_ONLY when the event is recorded but the
   * overwriting failed: the next start finishes it.
   */
  erase(request: AppendRequest): Promise<Receipt>
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** The erasures that an event tells of; none for events of writers that may not tell of any. */
export function erasuresTold(writer: Writer, data: Uint8Array | null): Erasures {
  if (data === null || (writer !== 'activity' && writer !== 'ledger')) return []
  let content: unknown
  try {
    const text = decoder.decode(data)
    // Most events tell of none, and need not be parsed to know it.
    if (!text.includes('"erasures"')) return []
    content = JSON.parse(text)
  } catch {
    // No JSON, so it tells of no erasure.
    return []
  }
  const told = Erasures.safeParse((content as { erasures?: unknown } | null)?.erasures)
  return told.success ? told.data : []
}
