import type { PublishedCheckpoint } from './event-store.js'

/** Checkpoints that enough witnesses cosigned, kept with all their signature lines. */
export interface WitnessedStore {
  /** The last one; undefined as long as there is none. */
  latest(): PublishedCheckpoint | undefined
  /** The first one with more than `position` leaves. */
  covering(position: number): Promise<PublishedCheckpoint | undefined>
  /** Resolves when it is durable; sizes never decrease. */
  append(checkpoint: PublishedCheckpoint): Promise<void>
  close(): Promise<void>
}

/** How one witness stands. */
export interface WitnessStatus {
  /** Its name in the policy. */
  readonly name: string
  /** Size of the last checkpoint that it cosigned for us in this run; 0 = none yet. */
  readonly size: number
  /** Requests that failed since the last one that did not. */
  readonly failures: number
  /** Why it does not follow, or null. */
  readonly problem: string | null
  /** It says that it saw a larger or another tree. */
  readonly unreconciled: boolean
}

/** What the service tells of its witnesses. */
export interface WitnessedCheckpoints {
  /** Whether proofs and checkpoints may leave only when the policy is met. */
  readonly required: boolean
  /** Verifier keys of the witnesses. */
  readonly vkeys: readonly string[]
  latest(): PublishedCheckpoint | undefined
  covering(position: number): Promise<PublishedCheckpoint | undefined>
  witnesses(): readonly WitnessStatus[]
  /** For how long there has been a checkpoint that is not witnessed; 0 when there is none. */
  lagMs(): number
}
