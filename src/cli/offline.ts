import type { KeyHistoryView } from '../contracts/http.js'
import type { EventReader, ProofSource } from '../ledger/event-store.js'
import type { FsckProgress, FsckReport } from '../ledger/fsck-report.js'
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

/** How a check is begun and ended. */
export interface FsckWish {
  /** Go on where an interrupted check stood. */
  readonly resume: boolean
  readonly signal: AbortSignal
  /** Told what could not be done as it was wished, and what is done instead. */
  readonly onNotice: (notice: string) => void
}

/** What commands do with a data folder when no service runs on it. `data` is the data folder, not that of the ledger. */
export interface Offline {
  /** @throws EvidenceError DATA_FOLDER_INVALID, LEDGER_LOCKED, JOURNAL_DAMAGED. */
  open(data: string): Promise<OfflineLedger>
  fsck(
    data: string,
    wish: FsckWish,
    onProgress: (progress: FsckProgress) => void,
  ): Promise<FsckReport>
  /**
   * Gives a stopped ledger a new key; answers all that it has then.
   * @throws EvidenceError DATA_FOLDER_INVALID, LEDGER_LOCKED, KEY_FILE_INVALID.
   */
  rotateKey(data: string): Promise<KeyHistoryView>
  /** By what this machine is known to a ledger in another process; made when there is none. */
  workerIdentity(data: string): Promise<{ readonly publicKeySha256: string }>
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
