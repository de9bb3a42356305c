import type { ProposalSummary, ProposalView } from '../contracts/http.js'
import type { EventReader } from '../ledger/event-store.js'
import { kinds, streamsOf } from '../proposals/kinds.js'
import type { MadeDecision, Principal, Proposal } from '../proposals/proposal.js'
import { openStatuses } from '../proposals/proposal.js'
import { proposalTimeline } from './timeline.js'

/** One sentence: what the proposal waits for, or why it ended. */
export function waitingFor(proposal: Proposal): string | null {
  const { status, approvals, approvalsRequired, ended } = proposal
  if (ended !== undefined) {
    return ended.resolvable_by === undefined
      ? ended.message
      : `${ended.message} (can be resolved by: ${ended.resolvable_by})`
  }
  switch (status) {
    case 'submitted':
      return 'the decision of policy'
    case 'awaiting-approval':
      return `${approvalsRequired - approvals.length} of ${approvalsRequired} approvals, by somebody other than ${proposal.proposer}`
    case 'enqueued':
      return 'its workflow to start'
    case 'executing':
      return 'its workflow to end'
    case 'completed':
      return null
    default:
      return proposal.simulated?.decision.reasons[0]?.message ?? null
  }
}

const subjectOf = (proposal: Proposal) => {
  const subject = kinds[proposal.kind].subject?.(proposal)
  return subject === undefined ? {} : { subject }
}

/** A proposal as lists show it. */
export const proposalSummary = (proposal: Proposal): ProposalSummary => ({
  id: proposal.id,
  status: proposal.status,
  kind: proposal.kind,
  operation: proposal.operation,
  ...(proposal.assetId === undefined ? {} : { asset_id: proposal.assetId }),
  ...(proposal.role === undefined ? {} : { role: proposal.role }),
  asset_ids: [...proposal.assetIds],
  ...subjectOf(proposal),
  reason: proposal.reason,
  proposer: proposal.proposer,
  submitted_at: proposal.submittedAt,
  updated_at: proposal.updatedAt,
  expires_at: proposal.expiresAt,
  approvals_required: proposal.approvalsRequired,
  approvals_given: proposal.approvals.length,
  waiting_for: waitingFor(proposal),
})

const decisionView = (made: MadeDecision | undefined) =>
  made === undefined
    ? null
    : { event_id: made.eventId, position: String(made.position), at: made.at, ...made.decision }

/** What somebody may do with a proposal now; the desk decides again when they do it. */
export function mayDo(principal: Principal, proposal: Proposal): ProposalView['may'] {
  const has = (role: string) => principal.access.includes(role)
  const own = proposal.proposer === principal.name
  const waits = proposal.status === 'awaiting-approval'
  const approved = proposal.approvals.some(({ actor }) => actor === principal.name)
  return {
    approve: waits && has('approver') && !own && !approved,
    reject: waits && has('approver') && !own,
    withdraw: own && has('proposer') && (waits || proposal.status === 'submitted'),
    cancel: proposal.status === 'enqueued' && (has('approver') || has('operator')),
    comment:
      openStatuses.includes(proposal.status) &&
      (has('proposer') || has('approver') || has('operator')),
  }
}

/** A proposal with its decisions, approvals and everything that happened, as `principal` sees it. */
export async function proposalView(
  reader: EventReader,
  principal: Principal,
  proposal: Proposal,
): Promise<ProposalView> {
  return {
    ...proposalSummary(proposal),
    spec: proposal.spec,
    ...(proposal.ticket === undefined ? {} : { ticket: proposal.ticket }),
    ...(proposal.expectedStateRevision === undefined
      ? {}
      : { expected_state_revision: proposal.expectedStateRevision }),
    digest: proposal.digest,
    revision: String(proposal.revision),
    simulated: decisionView(proposal.simulated),
    enforced: decisionView(proposal.enforced),
    approvals: proposal.approvals.map(
      ({ eventId, actor, at, proposalDigest, policyDigest, states, comment }) => ({
        event_id: eventId,
        actor,
        at,
        proposal_digest: proposalDigest,
        policy_digest: policyDigest,
        states,
        ...(comment === undefined ? {} : { comment }),
      }),
    ),
    comments: proposal.comments.map((comment) => ({ ...comment })),
    workflow_id: proposal.workflowId ?? null,
    ended: proposal.ended ?? null,
    timeline: await proposalTimeline(reader, { ...proposal, streams: streamsOf(proposal) }),
    may: mayDo(principal, proposal),
  }
}
