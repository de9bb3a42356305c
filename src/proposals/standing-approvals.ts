import type { AssetDirectory } from '../assets/directory.js'
import type { Decision } from '../contracts/policy.js'
import type { Reason } from '../contracts/proposal.js'
import { bindingOf } from './policy-questions.js'
import type { Approval, Proposal } from './proposal.js'

/** What an approval must still agree with to count. */
export interface ApprovalGround {
  /** Digest of the policies that decide now. */
  readonly policyDigest: string
  readonly assets: AssetDirectory
  readonly accessOf: (project: string, name: string) => Promise<readonly string[] | undefined>
}

export interface StandingApprovals {
  /** By how many different people. */
  readonly valid: number
  /** One reason for each approval that no longer holds. */
  readonly voided: readonly Reason[]
}

type Binding = Decision['states'][number]

/** The assets of a proposal as they stand now. */
export async function presentStates(
  assets: AssetDirectory,
  { project, assetIds }: Pick<Proposal, 'project' | 'assetIds'>,
): Promise<readonly Binding[]> {
  const states: Binding[] = []
  for (const assetId of assetIds)
    states.push(bindingOf(assetId, await assets.get(project, assetId)))
  return states
}

/** Names the first asset that does not stand as it is bound; undefined when all do. */
export function movedSince(
  bound: readonly Binding[],
  present: readonly Binding[],
): string | undefined {
  for (const now of present) {
    const then = bound.find(({ asset_id }) => asset_id === now.asset_id)
    if (then?.state_revision === now.state_revision && then.state_sha256 === now.state_sha256)
      continue
    const from = then?.state_revision ?? 'none'
    return `${now.asset_id} moved from state revision ${from} to ${now.state_revision ?? 'none'}`
  }
  return undefined
}

/**
 * The approvals that hold now: given by different people other than the proposer, who still are
 * approvers, to this proposal, under these policies, on the present state of every asset.
 */
export async function standingApprovals(
  proposal: Proposal,
  ground: ApprovalGround,
): Promise<StandingApprovals> {
  const present = await presentStates(ground.assets, proposal)
  const people = new Set<string>()
  const voided: Reason[] = []
  for (const approval of proposal.approvals) {
    const access = await ground.accessOf(proposal.project, approval.actor)
    const problem = voidBecause(approval, proposal, {
      policyDigest: ground.policyDigest,
      access,
      present,
    })
    if (problem === undefined) people.add(approval.actor)
    else {
      voided.push({
        code: 'approval-void',
        message: `the approval of ${approval.actor} no longer holds: ${problem}`,
        resolvable_by: 'proposer: propose it again',
      })
    }
  }
  return { valid: people.size, voided }
}

interface Now {
  readonly policyDigest: string
  readonly access: readonly string[] | undefined
  readonly present: readonly Binding[]
}

function voidBecause(
  { actor, proposalDigest, policyDigest, states }: Approval,
  { proposer, digest }: Proposal,
  now: Now,
): string | undefined {
  if (actor === proposer) return 'it was given by the proposer'
  if (now.access?.includes('approver') !== true) return `${actor} is not an approver any more`
  if (proposalDigest !== digest) return 'it was given to another digest of the proposal'
  if (policyDigest !== now.policyDigest) return 'it was given under other policies'
  return movedSince(states, now.present)
}
