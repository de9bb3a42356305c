import {
  assetObserved,
  type AssetKind,
  type AssetState,
  mutationIndeterminate,
  mutationResolved,
} from '../contracts/asset.js'
import { EvidenceError } from '../contracts/errors.js'
import type { Observation, RuntimeAssetController } from '../assets/controller.js'
import { differences } from '../assets/difference.js'
import type { AssetDirectory } from '../assets/directory.js'
import { desiredAfter, isMet, parametersOf } from '../assets/operations.js'
import { type AssetRecord, assetStream, jsonSha256, nextStateRevision } from '../assets/state.js'
import { activityEventId } from '../ledger/event-ids.js'
import type { EventReader } from '../ledger/event-store.js'
import { type Fact, fact } from '../ledger/facts.js'
import type { AssetStep, ObservationStep } from './asset-control.js'
import type { AssetLedger } from './asset-ledger.js'
import type { StepOutcome } from './steps.js'

/** What the steps on one asset work with. */
export interface AssetContext {
  readonly ledger: AssetLedger
  readonly assets: AssetDirectory
  readonly reader: EventReader
  readonly controllerOf: (kind: AssetKind) => RuntimeAssetController
}

/** The fields that every state-changing event carries. */
export const stateFields = (record: AssetRecord, state: AssetState) => ({
  state_revision: nextStateRevision(record),
  state,
  state_sha256: jsonSha256(state),
})

export const unknownAsset = (assetId: string): StepOutcome => ({
  outcome: 'failed',
  eventIds: [],
  reason: { code: 'asset-unknown', message: `no asset ${assetId} is registered` },
})

/** How often a step looks again when the asset's stream moved under it. */
const roundsMax = 5

/**
 * Works on the present record of an asset; when its stream moved meanwhile, again on the new one.
 * @throws EvidenceError REVISION_CONFLICT after the last round.
 */
export async function onPresentRecord(
  { assets }: AssetContext,
  { project, assetId }: AssetStep,
  work: (record: AssetRecord) => Promise<StepOutcome>,
): Promise<StepOutcome> {
  for (let round = 1; ; round += 1) {
    const record = await assets.get(project, assetId)
    if (record === undefined) return unknownAsset(assetId)
    try {
      return await work(record)
    } catch (error) {
      const isMoved = error instanceof EvidenceError && error.code === 'REVISION_CONFLICT'
      if (!isMoved || round === roundsMax) throw error
    }
  }
}

/** Looks at the asset; `desired` is what is wanted of it when a mutation is under way. */
export async function look(
  { ledger, controllerOf }: AssetContext,
  record: AssetRecord,
  desired = record.state.desired,
): Promise<Observation> {
  const asset = await ledger.controlled(record)
  return controllerOf(record.spec.kind).observe({ ...asset, state: { ...asset.state, desired } })
}

export const observedFact = (
  record: AssetRecord,
  state: AssetState,
  id: string,
  cause: ObservationStep['cause'] | 'before-mutation',
) =>
  fact(assetObserved, id, {
    asset_id: record.assetId,
    cause,
    ...stateFields(record, state),
    changes: differences(record.state, state),
  })

export async function observeAsset(
  step: ObservationStep,
  context: AssetContext,
): Promise<StepOutcome> {
  const id = activityEventId(step.workflowId, step.step, assetObserved.type)
  return onPresentRecord(context, step, async (record) => {
    if ((await context.reader.find(id)) !== undefined) return { outcome: 'done', eventIds: [id] }
    const { state } = await look(context, record)
    if (jsonSha256(state) === record.stateSha256) return { outcome: 'done', eventIds: [] }
    await context.ledger.record(step.project, assetStream(step.assetId), record.lastRevision, [
      observedFact(record, state, id, step.cause),
    ])
    return { outcome: 'done', eventIds: [id] }
  })
}

export async function resolveAsset(step: AssetStep, context: AssetContext): Promise<StepOutcome> {
  const { project, assetId, workflowId } = step
  const idOf = (type: string) => activityEventId(workflowId, step.step, type)
  const ids = { resolved: idOf(mutationResolved.type), unknown: idOf(mutationIndeterminate.type) }
  return onPresentRecord(context, step, async (record) => {
    if ((await context.reader.find(ids.resolved)) !== undefined) {
      const told = await Promise.all(
        [ids.unknown, ids.resolved].map((id) => context.reader.find(id)),
      )
      return { outcome: 'done', eventIds: told.flatMap((event) => (event ? [event.leaf.id] : [])) }
    }
    const open = record.mutation
    if (open === null) return { outcome: 'done', eventIds: [] }
    const { operation, mutationId, proposalId } = open
    const proposal = await context.ledger.proposal(project, proposalId)
    // Without its parameters what it wanted is unknown: it is not taken to be reached.
    const desired =
      proposal &&
      desiredAfter(
        record.state,
        operation,
        parametersOf(record.spec.kind, operation, proposal.spec),
        mutationId,
      )
    const { state } = await look(context, record, desired)
    const isReached = desired !== undefined && isMet(state)
    const mutation = {
      asset_id: assetId,
      mutation_id: mutationId,
      proposal_id: proposalId,
      operation,
    }
    const metadata = { correlation_id: proposalId }
    const indeterminate = fact(
      mutationIndeterminate,
      ids.unknown,
      { ...mutation, reason: 'its workflow ended between intent and outcome' },
      metadata,
    )
    const resolved = fact(
      mutationResolved,
      ids.resolved,
      {
        ...mutation,
        ...stateFields(record, state),
        outcome: isReached ? ('mutated' as const) : ('failed' as const),
        reason: isReached
          ? 'the observed state is the wanted one'
          : `the observed state is not the wanted one: ${state.run_state} instead of ${state.desired.run_state}`,
      },
      metadata,
    )
    const facts: Fact[] = open.status === 'in-progress' ? [indeterminate, resolved] : [resolved]
    await context.ledger.record(project, assetStream(assetId), record.lastRevision, facts)
    return { outcome: 'done', eventIds: facts.map(({ id }) => id) }
  })
}
