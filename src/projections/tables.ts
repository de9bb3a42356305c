import { approvals } from './approvals.js'
import { assetMutations } from './asset-mutations.js'
import { assetStates } from './asset-states.js'
import { checkpoints } from './checkpoints.js'
import { events } from './events.js'
import { evidence } from './evidence.js'
import { identities } from './identities.js'
import { policyDecisions } from './policy-decisions.js'
import type { Projector } from './projector.js'
import { proposals } from './proposals.js'
import { workflowRuns } from './workflow-runs.js'
import { workflowSteps } from './workflow-steps.js'

/** Every fact table. Its columns stand in `schemas/tables/<table>.sql`. */
export const projectors: readonly Projector[] = [
  events,
  proposals,
  approvals,
  policyDecisions,
  workflowRuns,
  workflowSteps,
  assetMutations,
  assetStates,
  evidence,
  checkpoints,
  identities,
]
