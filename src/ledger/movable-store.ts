import type { AllPosition } from './all-position.js'
import type { MovedEvent } from './moved-event.js'

/** Events of one stream that are appended together, and what it must hold before them. */
export interface MoveRun {
  readonly stream: string
  /** The last revision before them; `any` = whatever it is, because ids tell what is there already. */
  readonly expected: bigint | 'none' | 'any'
  readonly events: readonly Pick<MovedEvent, 'id' | 'type' | 'contentType' | 'data' | 'metadata'>[]
}

/** An event store whose events can be taken elsewhere, byte for byte, or that takes those of another. */
export interface MovableStore {
  /** Its address, without credentials. */
  readonly address: string
  /** The place of its last event; undefined when it has none. */
  head(): Promise<AllPosition | undefined>
  /** Every event behind a place, in the order of `$all`. */
  read(after: AllPosition | undefined, signal: AbortSignal): AsyncIterable<MovedEvent>
  /**
   * Appends, durably; calls stand in the store in the order in which they were made, also when the first were not
   * yet answered.
   *
   * @throws EvidenceError EVENT_ID_REUSED, REVISION_CONFLICT, STREAM_DELETED, or as the store refuses them.
   */
  append(run: MoveRun): Promise<void>
  /** Ends a stream for good; one that has ended already stays so. */
  tombstone(stream: string): Promise<void>
  close(): void
}

/** @throws EvidenceError CONNECTION_STRING_INVALID naming what is wrong with the connection string. */
export type OpenMovableStore = (connection: string) => Promise<MovableStore>
