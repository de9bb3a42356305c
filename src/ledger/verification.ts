/** A place of a file of the ledger that is not what it should be. */
export interface DamagedPlace {
  /** The file, below the folder of the ledger. */
  readonly file: string
  readonly offset: number
  readonly position: number | null
  readonly flaw: string
}

/** Called between small pieces of work with the bytes read since. It makes the work wait, or ends it by throwing. */
export type VerificationPace = (bytes: number) => Promise<void> | undefined

export interface VerifiedRange {
  /** Where reading really began: at or below what was asked for, 0 when nothing could be gone on with. */
  readonly from: number
  /** Leaves below this one were read. */
  readonly size: number
  /** Root over the leaves below `size`, made anew; undefined when leaves could not be read. */
  readonly root: Uint8Array | undefined
  /** Positions below this one were compared with index and hash tiles. */
  readonly indexThrough: number
  readonly damage: readonly DamagedPlace[]
  readonly damageCount: number
}

/**
 * Reads the ledger from disk beside the process that writes it and compares everything that can be
 * made anew: checksums, digests, chains, the root of each published checkpoint, index and hash tiles.
 */
export interface LedgerVerification {
  /**
   * Reads the leaves from `from` to `to`, the size of a published checkpoint. `root` is that of the
   * leaves below `from`: tiles on disk that say another are not gone on from.
   */
  verify(
    range: { readonly from: number; readonly to: number; readonly root: Uint8Array | undefined },
    pace: VerificationPace,
  ): Promise<VerifiedRange>
}

/** How the verification in the background stands. */
export interface VerificationStatus {
  /** The leaves below this one agreed when they were last read, and when that was; null before the first time. */
  readonly size: number
  readonly atMs: number | null
  /** How far the present pass is. */
  readonly passSize: number
  readonly bytesRead: number
  /** Damage found in the last pass in which any was found, until a whole pass finds none. */
  readonly damage: { readonly first: DamagedPlace; readonly count: number } | null
}

export interface LedgerVerifier {
  status(): VerificationStatus
}
