import { EvidenceError } from '../contracts/errors.js'
import type { AccessRole } from '../contracts/identifiers.js'
import { requireStatus } from './aggregate.js'
import type { MadeDecision, Principal, Proposal } from './proposal.js'

const isAwaiting = ['awaiting-approval'] as const
const isNotStarted = ['awaiting-approval', 'enqueued'] as const

/** The administrator holds every access role but approver, and what it proposes another approves. */
const holds = ({ access }: Principal, role: AccessRole): boolean =>
  access.includes(role) || (role !== 'approver' && access.includes('administrator'))

function requireAccess(principal: Principal, roles: readonly AccessRole[], step: string): void {
  if (roles.some((role) => holds(principal, role))) return
  throw new EvidenceError(
    'ACCESS_DENIED',
    `to ${step} needs the access role ${roles.join(' or ')}, which ${principal.name} does not hold`,
    { details: { roles } },
  )
}

function requireOther(principal: Principal, { proposer }: Proposal, remedy: string): void {
  if (principal.name !== proposer) return
  throw new EvidenceError('SELF_APPROVAL', `${proposer} proposed this change: ${remedy}`)
}

function requireDigest({ digest }: Proposal, shown: string): void {
  if (shown === digest) return
  throw new EvidenceError(
    'PROPOSAL_DIGEST_MISMATCH',
    `the decision is bound to the digest ${shown}, and the proposal has ${digest}`,
    { details: { digest } },
  )
}

/** @throws EvidenceError ACCESS_DENIED. */
export const propose = (principal: Principal): void =>
  requireAccess(principal, ['proposer'], 'propose a change')

/**
 * Whether this person may approve the proposal that was shown; answers the decision it approves.
 * @throws EvidenceError ACCESS_DENIED, SELF_APPROVAL, PROPOSAL_DIGEST_MISMATCH, PROPOSAL_STATE.
 */
export function approve(
  principal: Principal,
  proposal: Proposal,
  shown: string,
  nowMs: number,
): MadeDecision {
  requireAccess(principal, ['approver'], 'approve')
  requireOther(principal, proposal, 'somebody else approves it')
  requireDigest(proposal, shown)
  requireStatus(proposal, isAwaiting, 'approved')
  if (Date.parse(proposal.expiresAt) <= nowMs) {
    throw new EvidenceError('PROPOSAL_STATE', `the proposal expired at ${proposal.expiresAt}`)
  }
  if (proposal.approvals.some(({ actor }) => actor === principal.name)) {
    throw new EvidenceError('PROPOSAL_STATE', `${principal.name} approved this proposal already`)
  }
  const { simulated } = proposal
  if (simulated === undefined) {
    throw new EvidenceError('PROPOSAL_STATE', 'policy has not decided on the proposal yet')
  }
  return simulated
}

/** A rejection wins over approvals, until execution begins. @throws EvidenceError as `approve`. */
export function reject(principal: Principal, proposal: Proposal, shown: string): void {
  requireAccess(principal, ['approver'], 'reject')
  requireOther(principal, proposal, 'withdraw it instead')
  requireDigest(proposal, shown)
  requireStatus(proposal, isNotStarted, 'rejected')
}

/** @throws EvidenceError ACCESS_DENIED. */
export const comment = (principal: Principal): void =>
  requireAccess(
    principal,
    ['proposer', 'approver', 'operator', 'auditor', 'policy-admin'],
    'comment',
  )

/** @throws EvidenceError ACCESS_DENIED, PROPOSAL_STATE. */
export function withdraw(principal: Principal, proposal: Proposal): void {
  if (principal.name !== proposal.proposer) {
    throw new EvidenceError(
      'ACCESS_DENIED',
      `only ${proposal.proposer}, who proposed it, withdraws it`,
    )
  }
  requireStatus(proposal, ['submitted', 'awaiting-approval'], 'withdrawn')
}

/** @throws EvidenceError ACCESS_DENIED, PROPOSAL_STATE. */
export function cancel(principal: Principal, proposal: Proposal): void {
  requireAccess(principal, ['approver', 'operator'], 'cancel')
  requireStatus(proposal, isNotStarted, 'cancelled')
}
