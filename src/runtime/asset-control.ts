import { assetRegistered, type AssetKind } from '../contracts/asset.js'
import { EvidenceError } from '../contracts/errors.js'
import type { Reason } from '../contracts/proposal.js'
import type { ControlledAsset, RuntimeAssetController } from '../assets/controller.js'
import { type AssetDirectory, resolveTarget, type Target } from '../assets/directory.js'
import { registrationOf, stateAtRegistration } from '../assets/operations.js'
import { type AssetRecord, assetStream, jsonSha256 } from '../assets/state.js'
import { activityEventId } from '../ledger/event-ids.js'
import type { EventReader } from '../ledger/event-store.js'
import { fact } from '../ledger/facts.js'
import type { SideEffectWriter } from '../ledger/writers.js'
import { createAssetLedger } from './asset-ledger.js'
import { mutateAsset } from './asset-mutation.js'
import { observeAsset, resolveAsset } from './asset-observation.js'
import type { StepName, StepOutcome } from './steps.js'

export interface AssetStep extends StepName {
  readonly assetId: string
}

export interface MutationStep extends AssetStep {
  readonly proposalId: string
  readonly signal: AbortSignal
  readonly progress: (what: string) => void
}

export interface ObservationStep extends AssetStep {
  readonly cause: 'start' | 'exit' | 'schedule'
}

/**
 * Changes and observes assets for the activities of the execution runtime, and puts on the ledger
 * what it intends, does and sees. Every step first asks for its own outcome: run again after a
 * crash it goes on, run again after its end it answers that end.
 */
export interface RuntimeAssetControlService {
  /** Brings the asset of a registration proposal under control. */
  register(step: StepName & { readonly proposalId: string }): Promise<StepOutcome>
  /**
   * Carries out the operation of a proposal on one asset.
   * @throws EvidenceError ASSET_BUSY while another mutation of the asset is open; CONTROLLER_UNAVAILABLE.
   */
  mutate(step: MutationStep): Promise<StepOutcome>
  /** Records what is seen of the asset if it differs from its last recorded state. */
  observe(step: ObservationStep): Promise<StepOutcome>
  /** Ends the open mutation of the asset, if there is one, by observing what became of it. */
  resolve(step: AssetStep): Promise<StepOutcome>
  /** @throws EvidenceError ASSET_UNKNOWN, ROLE_UNRESOLVED, REQUEST_INVALID. */
  resolveTarget(project: string, target: Target, operation: string): Promise<readonly AssetRecord[]>
  /** The assets to observe after a start and on schedule: all that are registered. */
  assetsToObserve(
    project?: string,
  ): Promise<readonly { readonly project: string; readonly assetId: string }[]>
  /** Watches every asset, those registered later included; call it once, before any mutation. */
  watchAll(changed: (project: string, assetId: string) => void): Promise<void>
  /** Stops watching, and ends the assets that do not outlive the service. */
  close(): Promise<void>
}

export interface AssetControlParts {
  readonly reader: EventReader
  readonly assets: AssetDirectory
  readonly controllers: readonly RuntimeAssetController[]
  /** The side-effect capability of the attempt in which the caller runs. */
  readonly writer: () => SideEffectWriter
  /** Who appends. */
  readonly actor: string
}

export function createRuntimeAssetControlService(
  parts: AssetControlParts,
): RuntimeAssetControlService {
  const { reader, assets, controllers } = parts
  const ledger = createAssetLedger(parts)
  const controllerOf = (kind: AssetKind): RuntimeAssetController => {
    const found = controllers.find((controller) => controller.kind === kind)
    if (found !== undefined) return found
    throw new EvidenceError('CONTROLLER_UNAVAILABLE', `no controller for assets of kind ${kind}`)
  }
  const context = { ledger, assets, reader, controllerOf }

  let tell: ((project: string, assetId: string) => void) | undefined
  const watch = async (record: AssetRecord): Promise<void> => {
    const { project, assetId } = record
    const asset: ControlledAsset = await ledger.controlled(record)
    if (tell === undefined) return
    controllerOf(record.spec.kind).watch(asset, () => tell?.(project, assetId))
  }

  return {
    async register(step) {
      const outcome = await registerAsset(step, { ...context, ledger })
      if (outcome.outcome === 'done') {
        const { assetId } = outcome
        const record = await assets.get(step.project, assetId)
        if (record !== undefined) await watch(record)
      }
      const { eventIds, reason } = outcome
      return { outcome: outcome.outcome, eventIds, ...(reason === undefined ? {} : { reason }) }
    },
    mutate: (step) => mutateAsset(step, context),
    observe: (step) => observeAsset(step, context),
    resolve: (step) => resolveAsset(step, context),
    resolveTarget: (project, target, operation) =>
      resolveTarget(assets, project, target, operation),
    async assetsToObserve(project) {
      const records = project === undefined ? await assets.all() : await assets.list(project)
      return records.map((record) => ({ project: record.project, assetId: record.assetId }))
    },
    async watchAll(changed) {
      tell = changed
      for (const record of await assets.all()) await watch(record)
    },
    async close() {
      tell = undefined
      await Promise.all(controllers.map((controller) => controller.close()))
    },
  }
}

type Registration = StepOutcome & { readonly assetId: string }

async function registerAsset(
  step: StepName & { readonly proposalId: string },
  {
    ledger,
    assets,
    reader,
    controllerOf,
  }: {
    readonly ledger: ReturnType<typeof createAssetLedger>
    readonly assets: AssetDirectory
    readonly reader: EventReader
    readonly controllerOf: (kind: AssetKind) => RuntimeAssetController
  },
): Promise<Registration> {
  const id = activityEventId(step.workflowId, step.step, assetRegistered.type)
  const proposal = await ledger.proposal(step.project, step.proposalId)
  const assetId = proposal?.asset_id ?? ''
  if ((await reader.find(id)) !== undefined) return { outcome: 'done', eventIds: [id], assetId }
  const failed = (reason: Reason): Registration => ({
    outcome: 'failed',
    eventIds: [],
    reason,
    assetId,
  })
  const taken = failed({
    code: 'asset-exists',
    message: `the asset ${assetId} is registered already`,
    resolvable_by: 'proposer',
  })
  if (proposal?.asset_id === undefined) {
    return failed({
      code: 'proposal-unreadable',
      message: 'the proposal names no asset, or was erased',
    })
  }
  if ((await assets.get(step.project, assetId)) !== undefined) return taken
  try {
    const spec = registrationOf(proposal.spec)
    await controllerOf(spec.kind).check(assetId, spec)
    const state = stateAtRegistration(spec)
    await ledger.record(step.project, assetStream(assetId), 'none', [
      fact(
        assetRegistered,
        id,
        {
          asset_id: assetId,
          proposal_id: step.proposalId,
          spec,
          spec_sha256: jsonSha256(spec),
          state_revision: '0',
          state,
          state_sha256: jsonSha256(state),
        },
        { correlation_id: step.proposalId },
      ),
    ])
    return { outcome: 'done', eventIds: [id], assetId }
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    if (error.code === 'REVISION_CONFLICT') return taken
    if (error.code !== 'CONTROLLER_REFUSED' && error.code !== 'REQUEST_INVALID') throw error
    return failed({
      code: error.code === 'CONTROLLER_REFUSED' ? 'controller-refused' : 'specification-invalid',
      message: error.message.slice(0, 2048),
      resolvable_by: 'proposer',
    })
  }
}
