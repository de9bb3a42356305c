import { EvidenceError } from '../contracts/errors.js'
import { type Decision, policyEnforced, policySimulated } from '../contracts/policy.js'
import {
  proposalApproved,
  proposalCancelled,
  proposalCommented,
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
import type { DataOf, EventContract } from '../contracts/event.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { dataOf } from '../ledger/facts.js'
import { openStatuses, type Proposal, type ProposalStatus } from './proposal.js'

const streamPrefix = 'proposal-'

export const proposalStream = (id: string): string => `${streamPrefix}${id}`

type Change = (proposal: Proposal, event: RecordedEvent) => Partial<Proposal>

/** How an event changes a proposal; one whose data was erased changes nothing but the revision. */
const change = <Data>(
  contract: EventContract<Data>,
  apply: (proposal: Proposal, data: Data, event: RecordedEvent) => Partial<Proposal>,
): readonly [string, Change] => [
  contract.type,
  (proposal, event) => {
    const data = dataOf(contract, event)
    return data === undefined ? {} : apply(proposal, data, event)
  },
]

/** A proposal ends once: whatever is recorded of it later leaves its end as it is. */
const reach = (
  { status: before }: Proposal,
  status: ProposalStatus,
  rest: Partial<Proposal> = {},
): Partial<Proposal> => (openStatuses.includes(before) ? { status, ...rest } : {})

const made = (decision: Decision, { leaf, position }: RecordedEvent) => ({
  eventId: leaf.id,
  position,
  at: leaf.time,
  decision,
})

const byPerson = (code: string, what: string, reason: string, resolvableBy: string): Reason => ({
  code,
  message: reason === '' ? what : `${what}: ${reason}`,
  resolvable_by: resolvableBy,
})

const changes: ReadonlyMap<string, Change> = new Map([
  change(policySimulated, (_, decision, event) => ({
    simulated: made(decision, event),
    approvalsRequired: decision.approvals_required,
  })),
  change(policyEnforced, (_, decision, event) => ({ enforced: made(decision, event) })),
  change(proposalRouted, (proposal, { route, approvals_required: approvalsRequired }) => {
    const status =
      route === 'approval'
        ? reach(proposal, 'awaiting-approval')
        : route === 'blocked'
          ? reach(proposal, blockedStatus(proposal), { ended: blockedReason(proposal) })
          : {}
    return { route, approvalsRequired, ...status }
  }),
  change(proposalApproved, ({ approvals }, data, { leaf }) => ({
    approvals: [
      ...approvals,
      {
        eventId: leaf.id,
        actor: leaf.actor,
        at: leaf.time,
        proposalDigest: data.proposal_digest,
        policyDigest: data.policy_digest,
        states: data.states,
        ...(data.comment === undefined ? {} : { comment: data.comment }),
      },
    ],
  })),
  change(proposalCommented, ({ comments }, { text }, { leaf }) => ({
    comments: [...comments, { actor: leaf.actor, at: leaf.time, text }],
  })),
  change(proposalRejected, (proposal, { reason }, { leaf }) =>
    reach(proposal, 'rejected', {
      ended: byPerson('rejected', `${leaf.actor} rejected it`, reason, 'proposer'),
    }),
  ),
  change(proposalWithdrawn, (proposal, { reason }, { leaf }) =>
    reach(proposal, 'withdrawn', {
      ended: byPerson('withdrawn', `${leaf.actor} withdrew it`, reason, 'proposer'),
    }),
  ),
  change(proposalCancelled, (proposal, { reason }, { leaf }) =>
    reach(proposal, 'cancelled', {
      ended: byPerson('cancelled', `${leaf.actor} cancelled it`, reason, 'proposer'),
    }),
  ),
  change(proposalEnqueued, (proposal, { workflow_id: workflowId }) =>
    reach(proposal, 'enqueued', { workflowId }),
  ),
  change(proposalStarted, (proposal, { workflow_id: workflowId }) =>
    reach(proposal, 'executing', { workflowId }),
  ),
  change(proposalExpired, (proposal, { expires_at }) =>
    reach(proposal, 'expired', {
      ended: {
        code: 'expired',
        message: `nobody decided before it expired at ${expires_at}`,
        resolvable_by: 'proposer',
      },
    }),
  ),
  change(proposalCompleted, (proposal) => reach(proposal, 'completed')),
  change(proposalFailed, (proposal, { reason }) => reach(proposal, 'failed', { ended: reason })),
])

const blockedStatus = ({ simulated }: Proposal): ProposalStatus =>
  simulated?.decision.outcome === 'deny' ? 'denied' : 'indeterminate'

const blockedReason = ({ simulated }: Proposal): Reason =>
  simulated?.decision.reasons[0] ?? {
    code: 'undecided',
    message: 'policy gave no reason',
    resolvable_by: 'policy-admin',
  }

function submitted(event: RecordedEvent): Proposal | undefined {
  const { leaf } = event
  // A proposal's uuid is the id of its submitted event; another one on its stream begins nothing.
  if (leaf.type !== proposalSubmitted.type || leaf.stream !== proposalStream(leaf.id))
    return undefined
  const data: DataOf<typeof proposalSubmitted> | undefined = dataOf(proposalSubmitted, event)
  if (data === undefined) return undefined
  return {
    id: leaf.id,
    project: leaf.project,
    status: 'submitted',
    proposer: leaf.actor,
    kind: data.kind,
    ...(data.asset_id === undefined ? {} : { assetId: data.asset_id }),
    ...(data.role === undefined ? {} : { role: data.role }),
    assetIds: data.asset_ids,
    operation: data.operation,
    spec: data.spec,
    reason: data.reason,
    ...(data.ticket === undefined ? {} : { ticket: data.ticket }),
    ...(data.expected_state_revision === undefined
      ? {}
      : { expectedStateRevision: data.expected_state_revision }),
    digest: leaf.data_sha256,
    revision: Number(leaf.revision),
    submittedAt: leaf.time,
    updatedAt: leaf.time,
    expiresAt: data.expires_at,
    approvalsRequired: 0,
    approvals: [],
    comments: [],
  }
}

/**
 * The proposal after one more event of its stream; undefined while there is none, or when its
 * submitted event was erased. Types that this version does not know use up their revision.
 *
 * @throws EvidenceError EVENT_VERSION_UNKNOWN for an event of a newer version.
 */
export function evolve(proposal: Proposal | undefined, event: RecordedEvent): Proposal | undefined {
  if (proposal === undefined) return submitted(event)
  const { leaf } = event
  return {
    ...proposal,
    ...changes.get(leaf.type)?.(proposal, event),
    revision: Number(leaf.revision),
    updatedAt: leaf.time,
  }
}

/** The approvals given by different people to this proposal as it stands. */
export const approvalsGiven = ({ approvals, digest, proposer }: Proposal): number =>
  new Set(
    approvals
      .filter(({ actor, proposalDigest }) => actor !== proposer && proposalDigest === digest)
      .map(({ actor }) => actor),
  ).size

/** Whether everything that was asked for is there, so that the proposal may be enqueued. */
export const isReadyToEnqueue = (proposal: Proposal): boolean =>
  proposal.status === 'awaiting-approval' && approvalsGiven(proposal) >= proposal.approvalsRequired

/** @throws EvidenceError PROPOSAL_STATE unless the proposal is in one of the statuses. */
export function requireStatus(
  proposal: Proposal,
  statuses: readonly ProposalStatus[],
  step: string,
): void {
  if (statuses.includes(proposal.status)) return
  throw new EvidenceError(
    'PROPOSAL_STATE',
    `the proposal is ${proposal.status}: it cannot be ${step}, which needs ${statuses.join(' or ')}`,
    { details: { status: proposal.status } },
  )
}
