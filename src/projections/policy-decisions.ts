import { canonicalText } from '../contracts/canonical-json.js'
import { type Decision, policyEnforced, policySimulated } from '../contracts/policy.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { defineProjector, on, subjectOf } from './projector.js'
import { reasonCells } from './proposals.js'
import type { Row } from './warehouse.js'

const columns =
  (stage: 'simulated' | 'enforced') =>
  (decision: Decision, event: RecordedEvent): Row => ({
    proposal_id: subjectOf(event),
    stage,
    outcome: decision.outcome,
    reasons: decision.reasons.map((reason) => ({
      code: reason.code,
      message: reason.message,
      resolvable_by: reason.resolvable_by ?? null,
    })),
    ...reasonCells(decision.reasons),
    approvals_required: decision.approvals_required,
    approvals_counted: decision.approvals_counted,
    determining_policies: decision.determining_policies,
    errors: decision.errors,
    bundle: decision.bundle,
    bundle_digest: decision.bundle_digest,
    schema_digest: decision.schema_digest,
    input_digest: decision.input_digest,
    proposal_digest: decision.proposal_digest,
    engine: decision.engine,
    asset_ids: decision.states.map((state) => state.asset_id),
    states: canonicalText(decision.states),
    diff: canonicalText(decision.diff),
    input: canonicalText(decision.input),
    actor: event.leaf.actor,
  })

/** Every decision of policy, before anything runs and again at execution. */
export const policyDecisions = defineProjector({
  table: 'policy_decisions',
  version: 1,
  on: [on(policySimulated, columns('simulated')), on(policyEnforced, columns('enforced'))],
})
