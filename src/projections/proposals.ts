import { policySimulated } from '../contracts/policy.js'
import {
  proposalApproved,
  proposalCancelled,
  proposalCompleted,
  proposalEnqueued,
  proposalExpired,
  proposalFailed,
  proposalRejected,
  proposalRouted,
  proposalStarted,
  proposalSubmitted,
  proposalWithdrawn,
  type Reason,
} from '../contracts/proposal.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { defineProjector, on, subjectOf, timeCellOf } from './projector.js'
import type { Row } from './warehouse.js'

/** Columns of every row; an event gives the ones it knows. */
const row = (event: RecordedEvent, status: string, known: Row = {}): Row => ({
  proposal_id: subjectOf(event),
  event: event.leaf.type,
  status,
  actor: event.leaf.actor,
  ...known,
})

export const reasonCells = (reasons: readonly Reason[]): Row => ({
  reason_codes: reasons.map((reason) => reason.code),
  reason_messages: reasons.map((reason) => reason.message),
})

const resolvableBy = (reasons: readonly Reason[]): Row => ({
  resolvable_by: reasons.flatMap((reason) => reason.resolvable_by ?? []),
})

const routes = { approval: 'awaiting-approval', execution: 'submitted' } as const

/**
 * The statuses of each proposal. A decision that blocks gives the status itself; the routing after
 * it (`blocked`) cannot know which one it was and moves nothing.
 */
export const proposals = defineProjector({
  table: 'proposals',
  version: 1,
  on: [
    on(proposalSubmitted, (data, event) =>
      row(event, 'submitted', {
        kind: data.kind,
        operation: data.operation,
        asset_id: data.asset_id ?? null,
        role: data.role ?? null,
        asset_ids: data.asset_ids,
        proposer: event.leaf.actor,
        reason: data.reason,
        ticket: data.ticket ?? null,
        proposal_digest: event.leaf.data_sha256,
        expires_at: timeCellOf(data.expires_at),
      }),
    ),
    on(policySimulated, (data, event) =>
      row(event, statusOfDecision(data.outcome), {
        ...reasonCells(data.reasons),
        ...resolvableBy(data.reasons),
        proposal_digest: data.proposal_digest,
        approvals_required: data.approvals_required,
      }),
    ),
    on(proposalRouted, (data, event) =>
      data.route === 'blocked'
        ? null
        : row(event, routes[data.route], { approvals_required: data.approvals_required }),
    ),
    on(proposalApproved, (data, event) =>
      row(event, 'awaiting-approval', { proposal_digest: data.proposal_digest }),
    ),
    on(proposalRejected, (data, event) =>
      row(event, 'rejected', { reason: data.reason, proposal_digest: data.proposal_digest }),
    ),
    on(proposalWithdrawn, (data, event) => row(event, 'withdrawn', { reason: data.reason })),
    on(proposalCancelled, (data, event) => row(event, 'cancelled', { reason: data.reason })),
    on(proposalEnqueued, (data, event) =>
      row(event, 'enqueued', { workflow_id: data.workflow_id }),
    ),
    on(proposalStarted, (data, event) =>
      row(event, 'executing', { workflow_id: data.workflow_id }),
    ),
    on(proposalExpired, (data, event) =>
      row(event, 'expired', { expires_at: timeCellOf(data.expires_at) }),
    ),
    on(proposalCompleted, (data, event) =>
      row(event, 'completed', { workflow_id: data.workflow_id }),
    ),
    on(proposalFailed, (data, event) =>
      row(event, 'failed', {
        workflow_id: data.workflow_id,
        reason: data.reason.message,
        ...reasonCells([data.reason]),
        ...resolvableBy([data.reason]),
      }),
    ),
  ],
})

function statusOfDecision(outcome: 'allow' | 'deny' | 'indeterminate'): string {
  if (outcome === 'allow') return 'submitted'
  return outcome === 'deny' ? 'denied' : 'indeterminate'
}
