import { activityInfo } from '@temporalio/activity'
import { EvidenceError } from '../contracts/errors.js'
import type { DataOf } from '../contracts/event.js'
import type { Reason } from '../contracts/proposal.js'
import { workflowStepFinished } from '../contracts/workflow.js'
import { activityEventId } from '../ledger/event-ids.js'
import type { EventReader, ExpectedRevision } from '../ledger/event-store.js'
import { dataOf, type Fact, fact } from '../ledger/facts.js'
import { isRetryable } from './failure.js'
import { currentWriter } from './side-effects.js'

/** Who appends what the activities of the workers append. */
export const workerActor = 'worker'

/** How a step of a workflow ended, and the events it appended. */
export interface StepOutcome {
  readonly outcome: 'done' | 'failed' | 'indeterminate'
  readonly eventIds: readonly string[]
  readonly reason?: Reason | undefined
}

/** Names a step once and for all: `step` is unique in its workflow. */
export interface StepName {
  readonly project: string
  readonly workflowId: string
  readonly step: string
}

const eventIdsMax = 64
const messageCharactersMax = 2048

/** The run in which the caller's activity works, as events name it. */
export function currentRun(): { readonly workflowId: string; readonly runId: string } {
  const { workflowExecution } = activityInfo()
  if (workflowExecution === undefined)
    throw new EvidenceError('CAPABILITY_ENDED', 'the activity belongs to no workflow')
  return workflowExecution
}

/**
 * Appends one fact unless its id is on the ledger: whatever an earlier attempt recorded under it is
 * the outcome, even where this attempt would put it in other words (its own time or run).
 */
export async function recordOnce<Data>(
  reader: EventReader,
  {
    project,
    stream,
    expected = 'any',
    correlationId,
    ...of
  }: {
    readonly project: string
    readonly stream: string
    readonly fact: Fact<Data>
    readonly expected?: ExpectedRevision
    readonly correlationId?: string
  },
): Promise<string> {
  if ((await reader.find(of.fact.id)) !== undefined) return of.fact.id
  const metadata =
    correlationId === undefined ? {} : { metadata: { correlation_id: correlationId } }
  try {
    const facts: readonly Fact[] = [{ ...of.fact, ...metadata }]
    await currentWriter().record({ project, stream, expected, actor: workerActor, facts })
  } catch (error) {
    if (!(error instanceof EvidenceError && error.code === 'EVENT_ID_REUSED')) throw error
  }
  return of.fact.id
}

/** The recorded end of a step; undefined while it has none. */
export async function finishedStep(
  reader: EventReader,
  { workflowId, step }: Pick<StepName, 'workflowId' | 'step'>,
): Promise<DataOf<typeof workflowStepFinished> | undefined> {
  const event = await reader.find(activityEventId(workflowId, step, workflowStepFinished.type))
  return event === undefined ? undefined : dataOf(workflowStepFinished, event)
}

/** A reason of the ledger's own words; the code is that of the error in lower case. */
export const reasonOf = (error: EvidenceError): Reason => ({
  code: error.code.toLowerCase().replaceAll('_', '-'),
  message: error.message.slice(0, messageCharactersMax),
})

/**
 * Runs one step, outcome first: a step that has its end on the ledger is not done again. An error
 * that no further attempt can mend is the step's outcome, told on the ledger and not in Temporal.
 */
export async function runStep(
  { reader, now }: { readonly reader: EventReader; readonly now: () => number },
  name: StepName,
  work: () => Promise<StepOutcome>,
  { silentWhenIdle = false }: { readonly silentWhenIdle?: boolean } = {},
): Promise<StepOutcome> {
  const before = await finishedStep(reader, name)
  if (before !== undefined)
    return { outcome: before.outcome, eventIds: before.event_ids, reason: before.reason }
  const { activityType, attempt } = activityInfo()
  const { runId } = currentRun()
  const startedAt = new Date(now()).toISOString()
  const ended = await work().catch((error: unknown): StepOutcome => {
    const isOutcome =
      error instanceof EvidenceError && !isRetryable(error) && error.code !== 'CAPABILITY_ENDED'
    if (!isOutcome) throw error
    return { outcome: 'failed', eventIds: [], reason: reasonOf(error) }
  })
  if (silentWhenIdle && ended.outcome === 'done' && ended.eventIds.length === 0) return ended
  await recordOnce(reader, {
    project: name.project,
    stream: `workflow-${name.workflowId}`,
    fact: fact(
      workflowStepFinished,
      activityEventId(name.workflowId, name.step, workflowStepFinished.type),
      {
        workflow_id: name.workflowId,
        run_id: runId,
        step: name.step,
        activity_type: activityType,
        attempt,
        outcome: ended.outcome,
        started_at: startedAt,
        finished_at: new Date(now()).toISOString(),
        event_ids: ended.eventIds.slice(0, eventIdsMax),
        ...(ended.reason === undefined ? {} : { reason: ended.reason }),
      },
    ),
  })
  return ended
}
