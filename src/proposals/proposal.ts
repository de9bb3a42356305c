import type { Decision } from '../contracts/policy.js'
import type { ProposalBody, Reason } from '../contracts/proposal.js'

export const proposalStatuses = [
  'submitted',
  'awaiting-approval',
  'enqueued',
  'executing',
  'completed',
  'failed',
  'denied',
  'indeterminate',
  'rejected',
  'withdrawn',
  'cancelled',
  'expired',
] as const
export type ProposalStatus = (typeof proposalStatuses)[number]

/** The statuses in which a proposal still waits for something. */
export const openStatuses: readonly ProposalStatus[] = [
  'submitted',
  'awaiting-approval',
  'enqueued',
  'executing',
]

export interface MadeDecision {
  readonly eventId: string
  readonly position: number
  readonly at: string
  readonly decision: Decision
}

export interface Approval {
  readonly eventId: string
  readonly actor: string
  readonly at: string
  readonly proposalDigest: string
  readonly policyDigest: string
  readonly states: Decision['states']
  readonly comment?: string
}

/** A proposal as its events tell it (the aggregate's state). Times are RFC 3339, from the ledger. */
export interface Proposal {
  readonly id: string
  readonly project: string
  readonly status: ProposalStatus
  readonly proposer: string
  readonly kind: ProposalBody['kind']
  readonly assetId?: string
  readonly role?: string
  readonly assetIds: readonly string[]
  readonly operation: string
  readonly spec: ProposalBody['spec']
  readonly reason: string
  readonly ticket?: string
  readonly expectedStateRevision?: string
  /** `data_sha256` of its submitted event: what approvals are bound to. */
  readonly digest: string
  /** Last revision of its stream. */
  readonly revision: number
  readonly submittedAt: string
  readonly updatedAt: string
  readonly expiresAt: string
  readonly simulated?: MadeDecision
  readonly enforced?: MadeDecision
  readonly route?: 'approval' | 'execution' | 'blocked'
  readonly approvalsRequired: number
  readonly approvals: readonly Approval[]
  readonly comments: readonly {
    readonly actor: string
    readonly at: string
    readonly text: string
  }[]
  readonly workflowId?: string
  /** Why it ended without completing, in whatever way it did. */
  readonly ended?: Reason
}

/** Who asks, as the entrance authenticated it. */
export interface Principal {
  readonly name: string
  readonly project: string
  readonly access: readonly string[]
}

/** Everything that people and followers do with proposals. All of it is recorded; none has side effects. */
export interface ProposalDesk {
  /**
   * Records the proposal and moves it as far as it goes without waiting (decision, routing,
   * enqueueing). `id` names the submitted event; repeating it with the same body answers the same proposal.
   *
   * @throws EvidenceError ASSET_UNKNOWN, ASSET_EXISTS, ROLE_UNRESOLVED, STATE_REVISION_STALE,
   * REQUEST_INVALID (spec not fit for the operation, pointers below /spec), EVENT_ID_REUSED.
   */
  submit(
    principal: Principal,
    request: { readonly id: string; readonly body: ProposalBody },
  ): Promise<Proposal>
  /** Decides as `submit` would, and records nothing. */
  simulate(principal: Principal, body: ProposalBody): Promise<Decision>
  /**
   * @throws EvidenceError PROPOSAL_DIGEST_MISMATCH, SELF_APPROVAL, ACCESS_DENIED, PROPOSAL_STATE, PROPOSAL_NOT_FOUND.
   */
  approve(
    principal: Principal,
    id: string,
    request: {
      readonly eventId: string
      readonly proposalDigest: string
      readonly comment?: string
    },
  ): Promise<Proposal>
  reject(
    principal: Principal,
    id: string,
    request: { readonly eventId: string; readonly proposalDigest: string; readonly reason: string },
  ): Promise<Proposal>
  comment(
    principal: Principal,
    id: string,
    request: { readonly eventId: string; readonly text: string },
  ): Promise<Proposal>
  withdraw(
    principal: Principal,
    id: string,
    request: { readonly eventId: string; readonly reason: string },
  ): Promise<Proposal>
  cancel(
    principal: Principal,
    id: string,
    request: { readonly eventId: string; readonly reason: string },
  ): Promise<Proposal>
  /** Moves a proposal on if something it waited for is there; called by a follower for every change. */
  advance(project: string, id: string): Promise<Proposal>
  get(project: string, id: string): Promise<Proposal | undefined>
  /** Newest first. */
  list(
    project: string,
    filter?: { readonly statuses?: readonly ProposalStatus[]; readonly assetId?: string },
  ): Promise<readonly Proposal[]>
}
