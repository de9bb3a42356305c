import type { KeyHistoryView } from '../contracts/http.js'
import type { EventReader, ProofSource } from '../ledger/event-store.js'
import type { SealedHeads } from '../ledger/sealed-heads.js'
import type { Config } from '../runtime/config.js'

/** A ledger that no process writes, opened to be looked at. */
export interface OfflineLedger {
  readonly reader: EventReader
  readonly proofs: ProofSource
  /** The map of its last seal. */
  readonly heads: SealedHeads
  close(): Promise<void>
}

export interface FsckFlaw {
  readonly segment: string
  readonly offset: number
  readonly position: number | null
  readonly flaw: string
}

export interface FsckOutcome {
  readonly origin: string
  readonly finished: boolean
  readonly size: number
  readonly events: number
  /** Leaves that are no events. */
  readonly raw: number
  readonly segments: number
  readonly checkpoints: number
  readonly witnessed: number
  readonly seals: number
  readonly index: {
    readonly state: 'sound' | 'absent' | 'unsound'
    readonly through: number
  }
  readonly uniqueness: 'checked' | 'not-checked'
  readonly sound: boolean
  readonly problems: readonly FsckFlaw[]
  readonly problemCount: number
  readonly tornTail: { readonly segment: string; readonly offset: number } | null
  readonly unfinishedErasure: string | null
  readonly resumedFrom: number
}

/** How a check is begun and ended. */
export interface FsckWish {
  /** Go on where an interrupted check stood. */
  readonly resume: boolean
  readonly signal: AbortSignal
  /** Told what could not be done as it was wished, and what is done instead. */
  readonly onNotice: (notice: string) => void
}

export interface FsckProgress {
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly events: number
}

/** What commands do with a data folder when no service runs on it. `data` is the data folder, not that of the ledger. */
export interface Offline {
  /** @throws EvidenceError DATA_FOLDER_INVALID, LEDGER_LOCKED, JOURNAL_DAMAGED. */
  open(data: string): Promise<OfflineLedger>
  fsck(
    data: string,
    wish: FsckWish,
    onProgress: (progress: FsckProgress) => void,
  ): Promise<FsckOutcome>
  /**
   * Gives a stopped ledger a new key; answers all that it has then.
   * @throws EvidenceError DATA_FOLDER_INVALID, LEDGER_LOCKED, KEY_FILE_INVALID.
   */
  rotateKey(data: string): Promise<KeyHistoryView>
  /** Whether some process has the ledger of this data folder open; false when there is none. */
  isLocked(data: string): Promise<boolean>
  /** Where a Temporal server would be taken from on this machine; null when there is none. */
  findTemporal(config: Config): Promise<string | null>
}

/** A service that `up` started. */
export interface Running {
  /** Settles when the service has ended, by `close` or because it cannot go on. */
  readonly closed: Promise<void>
  close(): Promise<void>
}

export type RunUp = (
  config: Config,
  io: {
    readonly out: (line: string) => void
    readonly err: (line: string) => void
    readonly install: boolean
  },
) => Promise<Running>
