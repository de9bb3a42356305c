import type { EvidenceError } from '../contracts/errors.js'
import type { PayloadEraser } from './erasure.js'
import type { EventStore, ProofSource } from './event-store.js'
import type { RawLeafWriter } from './raw-leaf.js'
import type { KeyChange } from './signing-keys.js'
import type { TileSource } from './tiles.js'
import type { LedgerVerification } from './verification.js'

/** Where the events of a type stand. */
export interface TypePositions {
  typeSize(project: string, type: string): number | Promise<number>
  typePosition(project: string, type: string, typeSeq: number): number | Promise<number>
}

/** A ledger as the parts of a process need it, whatever it stands on. What may be absent depends on that. */
export interface Ledger
  extends EventStore, ProofSource, TileSource, Partial<RawLeafWriter>, Partial<PayloadEraser> {
  /** Whether the ledger was created for interoperability; only then it takes raw leaves. */
  readonly interoperability: boolean
  readonly positions: TypePositions
  /** Alarms that last. */
  alarms(): readonly { readonly alarm: string; readonly message: string }[]
  /** Why no event is taken any more, or null. */
  readOnly(): EvidenceError | null
  /** Why only outcomes of what has begun are taken, for want of space on the disk; null while there is enough. */
  lacksSpace(): EvidenceError | null
}

/** The log that this process sequences: sealing and verifying it, its witnesses and its keys are its own duty. */
export interface OwnLog extends KeyChange {
  /** The folder in which it stands. */
  readonly folder: string
  readonly verification: LedgerVerification
  /** Takes no more events until the next start. */
  seal(reason: EvidenceError): void
}

/** An open ledger, and the log behind it that this process sequences. */
export interface OpenedLedger {
  readonly ledger: Ledger
  readonly ownLog: OwnLog
}
