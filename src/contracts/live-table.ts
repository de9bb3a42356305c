import type { LiveEvent } from './http.js'

/** A table of live messages in a database that others read. */
export interface LiveTable {
  /**
   * Makes what is missing and answers how far the table holds this ledger.
   *
   * @throws EvidenceError LIVE_TABLE_CONFLICT when it holds another ledger.
   */
  open(origin: string): Promise<number>
  /**
   * Adds the messages of `[from, to)` and moves the position there, together or not at all.
   *
   * @throws EvidenceError LIVE_TABLE_CONFLICT when the table is not at `from`: somebody else writes it too.
   */
  write(from: number, to: number, messages: readonly LiveEvent[]): Promise<void>
  /** Removes messages of events before an instant. */
  forget(before: Date): Promise<void>
  close(): Promise<void>
}
