import { EvidenceError } from '../contracts/errors.js'
import { proposalCompleted, proposalFailed, type Reason } from '../contracts/proposal.js'
import { workflowCompleted, workflowFailed } from '../contracts/workflow.js'
import { activityEventId } from '../ledger/event-ids.js'
import type { EventReader } from '../ledger/event-store.js'
import { type Fact, fact } from '../ledger/facts.js'
import { streamsOf } from '../proposals/kinds.js'
import { openStatuses, type Proposal, type ProposalDesk } from '../proposals/proposal.js'
import { contentsOf } from './change-record.js'
import { type Ending, endingMessages, type ProposalRef, steps } from './step-names.js'
import { currentRun, finishedStep, recordOnce, runStep } from './steps.js'

interface Parts {
  readonly reader: EventReader
  readonly desk: Pick<ProposalDesk, 'get'>
  readonly now: () => number
}

const movesMax = 32

/**
 * Appends to the proposal what `decide` makes of it, unless it has ended, and answers it as it is
 * then. The append is bound to the revision that was decided on: of several who would end a proposal
 * one does, and the others see its end.
 */
export async function recordWhileOpen(
  { reader, desk }: Parts,
  { project, proposalId }: ProposalRef,
  decide: (proposal: Proposal) => Promise<Fact<never> | Fact | undefined>,
): Promise<Proposal> {
  for (let moves = 0; moves < movesMax; moves += 1) {
    const proposal = await desk.get(project, proposalId)
    if (proposal === undefined)
      throw new EvidenceError('PROPOSAL_NOT_FOUND', `there is no proposal ${proposalId}`)
    if (!openStatuses.includes(proposal.status)) return proposal
    const decided = await decide(proposal)
    if (decided === undefined || (await reader.find(decided.id)) !== undefined) return proposal
    try {
      await recordOnce(reader, {
        project,
        stream: `proposal-${proposalId}`,
        expected: proposal.revision,
        correlationId: proposalId,
        fact: decided,
      })
    } catch (error) {
      // Somebody commented or decided meanwhile: look again.
      if (!(error instanceof EvidenceError && error.code === 'REVISION_CONFLICT')) throw error
    }
  }
  throw new EvidenceError(
    'LEDGER_BUSY',
    `proposal ${proposalId} changes faster than it can be ended`,
  )
}

/** The words for a missed goal: those of the step that decided it, as it recorded them. */
async function reasonFor(
  reader: EventReader,
  { proposalId }: ProposalRef,
  { code = 'workflow-closed', step }: Ending,
): Promise<Reason> {
  const finished =
    step === undefined ? undefined : await finishedStep(reader, { workflowId: proposalId, step })
  if (finished?.reason !== undefined) return finished.reason
  return {
    code,
    message: step === undefined ? endingMessages[code] : `${endingMessages[code]}: ${step}`,
  }
}

/** Ends a change on the ledger, exactly once, whoever says so; answers how it ended. */
export async function endChange(
  parts: Parts,
  { ending, ...ref }: ProposalRef & { readonly ending: Ending },
): Promise<Proposal['status']> {
  const { project, proposalId } = ref
  const { reader } = parts
  const idOf = (type: string) => activityEventId(proposalId, steps.finish, type)

  await runStep(parts, { project, workflowId: proposalId, step: steps.finish }, async () => {
    const ended = await recordWhileOpen(parts, ref, async (proposal) => {
      const contents = await contentsOf(reader, { ...ref, streams: streamsOf(proposal) })
      return ending.goal === 'reached'
        ? fact(proposalCompleted, idOf(proposalCompleted.type), {
            workflow_id: proposalId,
            contents,
          })
        : fact(proposalFailed, idOf(proposalFailed.type), {
            workflow_id: proposalId,
            reason: await reasonFor(reader, ref, ending),
            contents,
          })
    })
    const type = ended.status === 'completed' ? proposalCompleted.type : proposalFailed.type
    return {
      outcome: 'done',
      eventIds: ended.status === 'completed' || ended.status === 'failed' ? [idOf(type)] : [],
    }
  })

  const proposal = await parts.desk.get(project, proposalId)
  const common = { workflow_id: proposalId, run_id: currentRun().runId }
  const onWorkflow = { project, stream: `workflow-${proposalId}`, correlationId: proposalId }
  if (proposal?.status === 'completed') {
    await recordOnce(reader, {
      ...onWorkflow,
      fact: fact(workflowCompleted, idOf(workflowCompleted.type), common),
    })
  }
  if (proposal?.status === 'failed') {
    const reason = proposal.ended ?? (await reasonFor(reader, ref, ending))
    await recordOnce(reader, {
      ...onWorkflow,
      fact: fact(workflowFailed, idOf(workflowFailed.type), { ...common, reason }),
    })
  }
  return proposal?.status ?? 'failed'
}
