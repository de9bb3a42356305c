import { Context } from '@temporalio/activity'
import type { EventReader } from '../ledger/event-store.js'
import { createTurns } from './asset-turns.js'
import { mutationStanding } from './change-record.js'
import { type AssetRef, type ObservationCause, type ProposalRef, steps } from './step-names.js'
import { currentRun, runStep, type StepName, type StepOutcome } from './steps.js'

/** The part of RuntimeAssetControlService that the activities of the execution runtime call. */
export interface AssetSteps {
  register(step: StepName & ProposalRef): Promise<StepOutcome>
  mutate(
    step: StepName &
      ProposalRef & {
        readonly assetId: string
        readonly signal: AbortSignal
        readonly progress: (what: string) => void
      },
  ): Promise<StepOutcome>
  observe(
    step: StepName & { readonly assetId: string; readonly cause: ObservationCause },
  ): Promise<StepOutcome>
  /** Ends the mutation in progress of this workflow, if there is one, by observing the asset. */
  resolve(step: StepName & { readonly assetId: string }): Promise<StepOutcome>
}

export interface ExecutionActivityParts {
  readonly reader: EventReader
  readonly control: AssetSteps
  readonly now: () => number
}

/** What a workflow learns of a step: the rest stands on the ledger (law 14). */
export interface StepAnswer {
  readonly outcome: StepOutcome['outcome']
}

export type ExecutionActivities = ReturnType<typeof createExecutionActivities>

const answer = ({ outcome }: StepOutcome): StepAnswer => ({ outcome })

/** Activities of the execution runtime: the only code that reaches assets. */
export function createExecutionActivities(parts: ExecutionActivityParts) {
  const { reader, control } = parts
  const turns = createTurns()
  const turnOf = ({ project, assetId }: AssetRef) => `${project}/${assetId}`

  return {
    /** The steps of one proposal have a workflow of their own, whose id is the proposal's. */
    async registerAsset({
      project,
      proposalId,
      assetId,
    }: ProposalRef & { readonly assetId: string }): Promise<StepAnswer> {
      const name = { project, workflowId: proposalId, step: steps.register }
      return answer(
        await turns.take(turnOf({ project, assetId }), () =>
          runStep(parts, name, () => control.register({ ...name, proposalId })),
        ),
      )
    },

    async mutateAsset({
      project,
      proposalId,
      assetId,
    }: ProposalRef & { readonly assetId: string }): Promise<StepAnswer> {
      const name = { project, workflowId: proposalId, step: steps.mutate(assetId) }
      const context = Context.current()
      const work = () =>
        control.mutate({
          ...name,
          proposalId,
          assetId,
          signal: context.cancellationSignal,
          progress: () => context.heartbeat(),
        })
      return answer(
        await turns.take(turnOf({ project, assetId }), () => runStep(parts, name, work)),
      )
    },

    /** Resolves what the proposal left open on the asset; a mutation that has its outcome keeps it. */
    async resolveAsset({
      project,
      proposalId,
      assetId,
    }: ProposalRef & { readonly assetId: string }): Promise<StepAnswer> {
      return turns.take(turnOf({ project, assetId }), async () => {
        const change = { project, proposalId, assetId }
        if ((await mutationStanding(reader, change)) === 'open') {
          const name = { project, workflowId: proposalId, step: steps.resolve(assetId) }
          await runStep(parts, name, () => control.resolve({ ...name, assetId }))
        }
        const standing = await mutationStanding(reader, change)
        return {
          outcome:
            standing === 'mutated' ? 'done' : standing === 'open' ? 'indeterminate' : 'failed',
        }
      })
    },

    /** Records what is seen of the asset where it differs from its last recorded state. */
    async observeAsset({
      project,
      assetId,
      cause,
    }: AssetRef & { readonly cause: ObservationCause }): Promise<StepAnswer> {
      const name = { project, workflowId: currentRun().workflowId, step: steps.observe(assetId) }
      return answer(
        await turns.take(turnOf({ project, assetId }), () =>
          runStep(parts, name, () => control.observe({ ...name, assetId, cause }), {
            silentWhenIdle: true,
          }),
        ),
      )
    },
  }
}
