import type { ControlKindName } from '../contracts/proposal.js'
import type { EventReader } from '../ledger/event-store.js'
import type { Proposal } from '../proposals/proposal.js'
import type { WorkerDirectory } from '../proposals/worker-directory.js'
import type { StepOutcome } from './steps.js'
import { changeWorker } from './worker-enrolment.js'

export interface ControlParts {
  readonly reader: EventReader
  readonly workers: WorkerDirectory
}

/**
 * Makes one change of what controls assets, and records it; runs inside an activity. Its event ids are those of the
 * step `control`: run again it answers what it did.
 */
export type ControlChange = (parts: ControlParts, proposal: Proposal) => Promise<StepOutcome>

/** How each kind that is about no asset is executed. */
export const controlChanges: Readonly<Record<ControlKindName, ControlChange>> = {
  'worker-enrolment': changeWorker,
}
