import { canonicalText } from '../contracts/canonical-json.js'
import { proposalApproved, proposalRejected } from '../contracts/proposal.js'
import { defineProjector, on, subjectOf } from './projector.js'

/** What each approver decided, and on which digests and states. */
export const approvals = defineProjector({
  table: 'approvals',
  version: 1,
  on: [
    on(proposalApproved, (data, event) => ({
      proposal_id: subjectOf(event),
      decision: 'approved',
      approver: event.leaf.actor,
      proposal_digest: data.proposal_digest,
      policy_digest: data.policy_digest,
      states: canonicalText(data.states),
      comment: data.comment ?? null,
    })),
    on(proposalRejected, (data, event) => ({
      proposal_id: subjectOf(event),
      decision: 'rejected',
      approver: event.leaf.actor,
      proposal_digest: data.proposal_digest,
      policy_digest: null,
      states: '[]',
      comment: data.reason,
    })),
  ],
})
