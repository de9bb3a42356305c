import {
  assetObserved,
  mutated,
  mutationFailed,
  mutationIndeterminate,
  mutationIntended,
  mutationResolved,
} from '../contracts/asset.js'
import { EvidenceError } from '../contracts/errors.js'
import type { Reason } from '../contracts/proposal.js'
import type { Applied, Observation } from '../assets/controller.js'
import { differences } from '../assets/difference.js'
import { desiredAfter, isMet, type Parameters, parametersOf } from '../assets/operations.js'
import { type AssetRecord, assetStream, jsonSha256, nextStateRevision } from '../assets/state.js'
import { activityEventId } from '../ledger/event-ids.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { dataOf, type Fact, fact, isOf } from '../ledger/facts.js'
import type { MutationStep } from './asset-control.js'
import {
  type AssetContext,
  look,
  observedFact,
  onPresentRecord,
  stateFields,
} from './asset-observation.js'
import type { StepOutcome } from './steps.js'

const messageCharactersMax = 2048
const indeterminateReason = 'asset-indeterminate'

const brief = (message: string) => message.slice(0, messageCharactersMax)
const idOf = ({ workflowId, step }: MutationStep, type: string, part = '') =>
  activityEventId(workflowId, `${step}${part}`, type)
const observedPart = (stateRevision: string) => `/observed/${stateRevision}`

const failed = (reason: Reason, eventIds: readonly string[] = []): StepOutcome => ({
  outcome: 'failed',
  eventIds,
  reason: { ...reason, message: brief(reason.message) },
})

/** One step on one asset: observe, prove, intend, apply, observe, prove, tell. */
export async function mutateAsset(step: MutationStep, context: AssetContext): Promise<StepOutcome> {
  const begun = await onPresentRecord(context, step, async (record) => {
    const told = await toldOutcome(step, context)
    return told ?? begin(step, context, record)
  })
  if (begun.outcome !== 'done' || !isIntent(step, begun)) return begun
  const applied = await carryOut(step, context)
  return onPresentRecord(context, step, async (record) => {
    const told = await toldOutcome(step, context)
    return told ?? tell(step, context, record, applied)
  })
}

/** `begin` answers with the intent as the last event while the mutation is open. */
const isIntent = (step: MutationStep, { eventIds }: StepOutcome) =>
  eventIds.at(-1) === idOf(step, mutationIntended.type)

/** Records what leads to the mutation and its intent, unless an earlier attempt did. */
async function begin(
  step: MutationStep,
  context: AssetContext,
  record: AssetRecord,
): Promise<StepOutcome> {
  const { project, assetId, proposalId } = step
  const { ledger } = context
  const mutationId = idOf(step, mutationIntended.type)
  if (record.mutation?.mutationId === mutationId) return { outcome: 'done', eventIds: [mutationId] }
  if (record.mutation?.status === 'indeterminate') {
    return failed({
      code: indeterminateReason,
      message: `the outcome of the mutation ${record.mutation.mutationId} of ${assetId} is unknown: it is resolved first`,
      resolvable_by: 'execution-runtime',
    })
  }
  if (record.mutation !== null) {
    throw new EvidenceError(
      'ASSET_BUSY',
      `the mutation ${record.mutation.mutationId} of ${assetId} is in progress`,
    )
  }
  const asked = await askedOf(step, context, record)
  if ('reason' in asked) return failed(asked.reason)

  const observation = await look(context, record)
  const stream = assetStream(assetId)
  const events: string[] = []
  let present = { stateRevision: record.stateRevision, lastRevision: record.lastRevision }
  if (jsonSha256(observation.state) !== record.stateSha256) {
    const stateRevision = nextStateRevision(record)
    const id = idOf(step, assetObserved.type, observedPart(stateRevision))
    await ledger.record(project, stream, record.lastRevision, [
      observedFact(record, observation.state, id, 'before-mutation'),
    ])
    events.push(id)
    present = { stateRevision, lastRevision: record.lastRevision + 1 }
  }
  if (
    asked.expectedStateRevision !== undefined &&
    asked.expectedStateRevision !== present.stateRevision
  ) {
    return failed(
      {
        code: 'state-revision-stale',
        message: `${assetId} is at state revision ${present.stateRevision}, the proposal was made on ${asked.expectedStateRevision}`,
        resolvable_by: 'proposer',
      },
      events,
    )
  }
  const evidence = await ledger.capture({ ...step, phase: 'before' }, observation)
  await ledger.record(project, stream, present.lastRevision, [
    fact(
      mutationIntended,
      mutationId,
      {
        asset_id: assetId,
        mutation_id: mutationId,
        proposal_id: proposalId,
        operation: asked.operation,
        state_revision: present.stateRevision,
        parameters_sha256: jsonSha256(asked.parameters),
        evidence_before: evidence,
      },
      { correlation_id: proposalId },
    ),
  ])
  return { outcome: 'done', eventIds: [...events, evidence, mutationId] }
}

interface Asked {
  readonly operation: string
  readonly parameters: Parameters
  readonly expectedStateRevision: string | undefined
}

/** What the proposal asks of this asset, as it was submitted. */
async function askedOf(
  { project, proposalId, assetId }: MutationStep,
  { ledger }: AssetContext,
  record: AssetRecord,
): Promise<Asked | { readonly reason: Reason }> {
  const proposal = await ledger.proposal(project, proposalId)
  if (proposal === undefined) {
    return {
      reason: {
        code: 'proposal-unreadable',
        message: 'the proposal cannot be read: it was erased',
      },
    }
  }
  if (!proposal.asset_ids.includes(assetId)) {
    return { reason: { code: 'asset-unknown', message: `the proposal does not name ${assetId}` } }
  }
  const { operation, expected_state_revision: expected } = proposal
  try {
    const parameters = parametersOf(record.spec.kind, operation, proposal.spec)
    // A revision is one asset's: behind a role it says nothing of the others.
    const expectedStateRevision = proposal.asset_id === undefined ? undefined : expected
    return { operation, parameters, expectedStateRevision }
  } catch (error) {
    if (!(error instanceof EvidenceError && error.code === 'REQUEST_INVALID')) throw error
    return {
      reason: { code: 'parameters-invalid', message: error.message, resolvable_by: 'proposer' },
    }
  }
}

type CarriedOut =
  | { readonly applied: Applied; readonly observation: Observation; readonly evidence: string }
  | { readonly unknown: string }

/** Applies the mutation and looks at what came of it. Run again after a crash it goes on. */
async function carryOut(step: MutationStep, context: AssetContext): Promise<CarriedOut> {
  const { assets, controllerOf, ledger } = context
  const record = await assets.get(step.project, step.assetId)
  if (record === undefined) return { unknown: `no asset ${step.assetId} is registered` }
  const asked = await askedOf(step, context, record)
  if ('reason' in asked) return { unknown: asked.reason.message }
  const mutationId = idOf(step, mutationIntended.type)
  // Only observations follow an intent: what was wanted before it still stands in the record.
  const desired = desiredAfter(record.state, asked.operation, asked.parameters, mutationId)
  const { operation, parameters } = asked
  const { signal, progress } = step
  const applied = await controllerOf(record.spec.kind).apply(await ledger.controlled(record), {
    mutationId,
    operation,
    parameters,
    desired,
    signal,
    progress,
  })
  if (applied.outcome === 'unknown') return { unknown: applied.reason }
  let observation: Observation
  try {
    observation = await look(context, record, desired)
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return { unknown: `it was applied, and could not be observed: ${error.message}` }
  }
  return {
    applied,
    observation,
    evidence: await ledger.capture({ ...step, phase: 'after' }, observation),
  }
}

/** Records the outcome; a mutation that did not reach its goal failed, whatever the controller said. */
async function tell(
  step: MutationStep,
  context: AssetContext,
  record: AssetRecord,
  carried: CarriedOut,
): Promise<StepOutcome> {
  const { mutation } = record
  const mutationId = idOf(step, mutationIntended.type)
  if (mutation?.mutationId !== mutationId) {
    throw new EvidenceError(
      'ASSET_BUSY',
      `the mutation ${mutationId} of ${step.assetId} is not the open one`,
    )
  }
  const common = {
    asset_id: step.assetId,
    mutation_id: mutationId,
    proposal_id: step.proposalId,
    operation: mutation.operation,
  }
  const metadata = { correlation_id: step.proposalId }
  const append = (told: Fact) =>
    context.ledger.record(step.project, assetStream(step.assetId), record.lastRevision, [told])
  if ('unknown' in carried) {
    const id = idOf(step, mutationIndeterminate.type)
    const data = { ...common, reason: brief(carried.unknown) }
    await append(fact(mutationIndeterminate, id, data, metadata))
  } else {
    const { applied, observation, evidence } = carried
    const { state } = observation
    const outcome = {
      ...common,
      ...stateFields(record, state),
      changes: differences(record.state, state),
      evidence_after: evidence,
    }
    if (applied.outcome === 'reached' && isMet(state)) {
      await append(fact(mutated, idOf(step, mutated.type), outcome, metadata))
    } else {
      const reason = brief(
        applied.outcome === 'reached'
          ? `it was applied, but the asset was then seen ${state.run_state} instead of ${state.desired.run_state}`
          : applied.reason,
      )
      const id = idOf(step, mutationFailed.type)
      await append(fact(mutationFailed, id, { ...outcome, reason }, metadata))
    }
  }
  const told = await toldOutcome(step, context)
  if (told !== undefined) return told
  throw new EvidenceError('LEDGER_BUSY', `the outcome of ${mutationId} is not readable yet`)
}

/** The outcome of the step if it is on the ledger, the resolution of its mutation included. */
async function toldOutcome(
  step: MutationStep,
  context: AssetContext,
): Promise<StepOutcome | undefined> {
  const { reader } = context
  const intent = await reader.find(idOf(step, mutationIntended.type))
  if (intent === undefined) return undefined
  const resolved = await resolutionOf(step, context, intent)
  const types = [mutated.type, mutationFailed.type, mutationIndeterminate.type]
  let own: RecordedEvent | undefined
  for (const type of types) own ??= await reader.find(idOf(step, type))
  const told = resolved ?? own
  if (told === undefined) return undefined
  const eventIds = await chainOf(step, context, intent, [own, resolved])
  if (isOf(mutated, told)) return { outcome: 'done', eventIds }
  const data = [mutationFailed, mutationIndeterminate, mutationResolved]
    .filter((contract) => isOf(contract, told))
    .map((contract) =>
      dataOf<{ reason: string; outcome?: 'mutated' | 'failed' }>(contract, told),
    )[0]
  if (data?.outcome === 'mutated') return { outcome: 'done', eventIds }
  const message = brief(data?.reason ?? 'the reason was erased')
  return isOf(mutationIndeterminate, told)
    ? {
        outcome: 'indeterminate',
        eventIds,
        reason: { code: 'mutation-indeterminate', message, resolvable_by: 'execution-runtime' },
      }
    : failed({ code: 'mutation-failed', message, resolvable_by: 'proposer' }, eventIds)
}

/** The event that resolved the mutation of this intent, if another step did. */
async function resolutionOf(
  { project, assetId }: MutationStep,
  { reader }: AssetContext,
  intent: RecordedEvent,
): Promise<RecordedEvent | undefined> {
  const from = Number(intent.leaf.revision) + 1
  for await (const event of reader.readStream({ project, stream: assetStream(assetId), from })) {
    // The next intent stands only behind the outcome of this one.
    if (isOf(mutationIntended, event)) return undefined
    if (isOf(mutationResolved, event)) return event
  }
  return undefined
}

/** The events of the step in their order, found by what they say of each other. */
async function chainOf(
  step: MutationStep,
  { reader }: AssetContext,
  intent: RecordedEvent,
  ends: readonly (RecordedEvent | undefined)[],
): Promise<string[]> {
  const intended = dataOf(mutationIntended, intent)
  const observed =
    intended &&
    (await reader.find(idOf(step, assetObserved.type, observedPart(intended.state_revision))))
  const after = ends.flatMap((event) => {
    if (event === undefined) return []
    const contract = [mutated, mutationFailed].find((one) => isOf(one, event))
    const data = contract && dataOf<{ evidence_after: string }>(contract, event)
    return [data?.evidence_after, event.leaf.id]
  })
  const before = [observed?.leaf.id, intended?.evidence_before, intent.leaf.id]
  return [...before, ...after].filter((id) => id !== undefined)
}
