import { activityInfo } from '@temporalio/activity'
import { EvidenceError } from '../contracts/errors.js'
import { type Decision, policyEnforced } from '../contracts/policy.js'
import {
  isControlKind,
  proposalExpired,
  proposalStarted,
  type Reason,
} from '../contracts/proposal.js'
import { workflowStarted } from '../contracts/workflow.js'
import { activityEventId } from '../ledger/event-ids.js'
import { dataOf, fact } from '../ledger/facts.js'
import { streamsOf } from '../proposals/kinds.js'
import { openStatuses, type Proposal, type ProposalDesk } from '../proposals/proposal.js'
import { endChange, recordWhileOpen } from './change-end.js'
import { contentsOf } from './change-record.js'
import { controlChanges, type ControlParts } from './control-change.js'
import type { StepAnswer } from './execution-activities.js'
import type { OpenProposals } from './open-proposals.js'
import {
  type AssetRef,
  type EndingCode,
  type Ending,
  type ProposalRef,
  steps,
} from './step-names.js'
import { currentRun, recordOnce, runStep, type StepOutcome } from './steps.js'
import type { WorkflowStarter } from './workflow-starter.js'

/** How many proposals and assets one run looks after; the next run goes on. */
const endedPerRunMax = 50
const assetsMax = 10_000

export interface LedgerActivityParts extends ControlParts {
  readonly desk: Pick<ProposalDesk, 'get'>
  readonly enforce: (project: string, proposalId: string) => Promise<Decision>
  readonly open: OpenProposals
  readonly starter: WorkflowStarter
  /** Every registered asset of every project. */
  readonly assets: () => Promise<readonly AssetRef[]>
  readonly now: () => number
}

export interface Enforced {
  readonly runs: boolean
  readonly kind: Proposal['kind']
  readonly assetIds: readonly string[]
}

/** What the comparison of ledger and Temporal leaves to be done. */
export interface Compared {
  readonly ended: readonly (ProposalRef & {
    readonly code: EndingCode
    readonly assetIds: readonly string[]
  })[]
  readonly expired: readonly ProposalRef[]
}

export type LedgerActivities = ReturnType<typeof createLedgerActivities>

async function proposalOf(
  { desk }: Pick<LedgerActivityParts, 'desk'>,
  { project, proposalId }: ProposalRef,
): Promise<Proposal> {
  const proposal = await desk.get(project, proposalId)
  if (proposal === undefined)
    throw new EvidenceError('PROPOSAL_NOT_FOUND', `there is no proposal ${proposalId}`)
  return proposal
}

/** Activities on the ledger alone: they decide and record, and reach nothing outside. */
export function createLedgerActivities(parts: LedgerActivityParts) {
  const stepOf = ({ project, proposalId }: ProposalRef, step: string) => ({
    project,
    workflowId: proposalId,
    step,
  })

  return {
    /** Claims the proposal for its workflow. One that ended meanwhile is left alone. */
    async beginProposal(ref: ProposalRef): Promise<{ readonly begun: boolean }> {
      const begun = await runStep(parts, stepOf(ref, steps.begin), () => begin(parts, ref))
      return { begun: begun.outcome === 'done' }
    },

    /** Asks policy again, on the state of this moment, and records what it says. */
    async enforcePolicy(ref: ProposalRef): Promise<Enforced> {
      const enforced = await runStep(parts, stepOf(ref, steps.enforce), () =>
        enforceOnce(parts, ref),
      )
      const { kind, assetIds } = await proposalOf(parts, ref)
      return { runs: enforced.outcome === 'done', kind, assetIds }
    },

    /** Makes a change that is about no asset. */
    async changeControl(ref: ProposalRef): Promise<StepAnswer> {
      const { outcome } = await runStep(parts, stepOf(ref, steps.control), async () => {
        const proposal = await proposalOf(parts, ref)
        if (isControlKind(proposal.kind)) return controlChanges[proposal.kind](parts, proposal)
        const message = `a change of kind ${proposal.kind} is executed on assets`
        return { outcome: 'failed', eventIds: [], reason: { code: 'kind-unfit', message } }
      })
      return { outcome }
    },

    /** Ends the change on the ledger, once, with its table of contents. */
    async finishProposal(
      request: ProposalRef & { readonly ending: Ending },
    ): Promise<{ readonly status: Proposal['status'] }> {
      return { status: await endChange(parts, request) }
    },

    async expireProposal(ref: ProposalRef): Promise<void> {
      await recordWhileOpen(parts, ref, async (proposal) =>
        isExpired(proposal, parts.now())
          ? fact(
              proposalExpired,
              activityEventId(ref.proposalId, steps.expire, proposalExpired.type),
              {
                expires_at: proposal.expiresAt,
                contents: await contentsOf(parts.reader, { ...ref, streams: streamsOf(proposal) }),
              },
            )
          : undefined,
      )
    },

    compareProposals: (): Promise<Compared> => compare(parts),

    async listAssets(): Promise<readonly AssetRef[]> {
      return (await parts.assets())
        .slice(0, assetsMax)
        .map(({ project, assetId }) => ({ project, assetId }))
    },
  }
}

const isExpired = (proposal: Proposal, nowMs: number): boolean =>
  proposal.status === 'awaiting-approval' && Date.parse(proposal.expiresAt) <= nowMs

async function begin(parts: LedgerActivityParts, ref: ProposalRef): Promise<StepOutcome> {
  const { project, proposalId } = ref
  const { runId } = currentRun()
  const { activityType: _, taskQueue, workflowType } = activityInfo()
  const started = activityEventId(proposalId, steps.begin, proposalStarted.type)
  await recordWhileOpen(parts, ref, async (proposal) =>
    proposal.status === 'enqueued'
      ? fact(proposalStarted, started, { workflow_id: proposalId, run_id: runId })
      : undefined,
  )
  const { status } = await proposalOf(parts, ref)
  if (status !== 'executing') {
    return {
      outcome: 'failed',
      eventIds: [],
      reason: { code: 'proposal-not-enqueued', message: `the proposal is ${status}` },
    }
  }
  // If we stop here, the next attempt finds the proposal started and goes on with the workflow's own event.
  const begun = await recordOnce(parts.reader, {
    project,
    stream: `workflow-${proposalId}`,
    correlationId: proposalId,
    fact: fact(workflowStarted, activityEventId(proposalId, steps.begin, workflowStarted.type), {
      workflow_id: proposalId,
      run_id: runId,
      workflow_type: workflowType ?? 'executeProposal',
      task_queue: taskQueue,
      proposal_id: proposalId,
    }),
  })
  return { outcome: 'done', eventIds: [started, begun] }
}

async function enforceOnce(
  parts: LedgerActivityParts,
  { project, proposalId }: ProposalRef,
): Promise<StepOutcome> {
  const id = activityEventId(proposalId, steps.enforce, policyEnforced.type)
  if ((await parts.reader.find(id)) === undefined) {
    const decision = await parts.enforce(project, proposalId)
    await recordOnce(parts.reader, {
      project,
      stream: `proposal-${proposalId}`,
      expected: 'exists',
      correlationId: proposalId,
      fact: fact(policyEnforced, id, decision),
    })
  }
  // Two attempts may have decided; the one that was recorded counts.
  const recorded = await parts.reader.find(id)
  const decision = recorded === undefined ? undefined : dataOf(policyEnforced, recorded)
  const blocked = reasonBlocked(decision)
  if (blocked === undefined) return { outcome: 'done', eventIds: [id] }
  return {
    outcome: decision?.outcome === 'deny' ? 'failed' : 'indeterminate',
    eventIds: [id],
    reason: blocked,
  }
}

/** Why a decision does not let the change run; undefined when it does. Whatever is not a clear yes is a no. */
function reasonBlocked(decision: Decision | undefined): Reason | undefined {
  if (decision === undefined)
    return { code: 'decision-erased', message: 'the decision at execution cannot be read' }
  const { outcome, approvals_counted: counted, approvals_required: required, reasons } = decision
  if (outcome === 'allow' && counted >= required) return undefined
  if (outcome === 'allow') {
    return {
      code: 'approval-missing',
      message: `${counted} of ${required} approvals hold at execution`,
      resolvable_by: 'approver',
    }
  }
  const first = reasons[0]
  const message = first?.message ?? `policy answered ${outcome} at execution`
  return {
    code: outcome === 'deny' ? 'policy-denied' : 'policy-indeterminate',
    message,
    ...(first?.resolvable_by === undefined ? {} : { resolvable_by: first.resolvable_by }),
  }
}

/** Looks at every open proposal: what Temporal no longer runs is ended or started again. */
async function compare({ open, desk, starter, now }: LedgerActivityParts): Promise<Compared> {
  const ended: Compared['ended'][number][] = []
  const expired: ProposalRef[] = []
  for (const ref of await open.list()) {
    if (ended.length + expired.length >= endedPerRunMax) break
    const proposal = await desk.get(ref.project, ref.proposalId)
    if (proposal === undefined || !openStatuses.includes(proposal.status)) open.forget(ref)
    else if (isExpired(proposal, now())) expired.push(ref)
    else if (proposal.status === 'enqueued' || proposal.status === 'executing') {
      const state = await starter.proposalState(ref)
      if (state === 'missing') await starter.startProposal(ref)
      else if (state !== 'running') ended.push({ ...ref, code: state, assetIds: proposal.assetIds })
    }
  }
  return { ended, expired }
}
