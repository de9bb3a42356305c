import type { ProposalKindName } from '../contracts/proposal.js'
import { assetOperation, assetRegistration } from './asset-kinds.js'
import type { ProposalKind } from './kind.js'
import type { ProposedChange } from './policy-questions.js'
import { workerEnrolment } from './worker-kind.js'

/** Every kind of proposal, by its name. A new one is a line here, and one in `src/runtime/control-change.ts`. */
export const kinds: Readonly<Record<ProposalKindName, ProposalKind>> = {
  'asset-operation': assetOperation,
  'asset-registration': assetRegistration,
  'worker-enrolment': workerEnrolment,
}

/** The streams that a change may write to, beside those of proposal, workflow and evidence. */
export const streamsOf = (
  change: Pick<ProposedChange, 'kind' | 'assetIds' | 'spec'>,
): readonly string[] => kinds[change.kind].streams(change)
