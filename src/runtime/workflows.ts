import {
  ActivityCancellationType,
  ActivityFailure,
  CancellationScope,
  isCancellation,
  proxyActivities,
  TemporalFailure,
  TimeoutFailure,
  workflowInfo,
} from '@temporalio/workflow'
import type { FactActivities } from './fact-activities.js'
import type { ExecutionActivities, StepAnswer } from './execution-activities.js'
import type { Enforced, LedgerActivities } from './ledger-activities.js'
import {
  type AssetRef,
  type Ending,
  type EndingCode,
  type FactCheckWish,
  executionQueue,
  type ObservationCause,
  type ProposalRef,
  steps,
} from './step-names.js'

/** At most this many assets are looked at side by side. */
const observationsMax = 8

const retry = { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' } as const

const ledger = proxyActivities<LedgerActivities>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: '10s',
  // Long enough for any outage that somebody mends; what is left then is ended by the comparison.
  scheduleToCloseTimeout: '30 days',
  retry,
})

/** Reads every event there is: minutes for a large ledger. */
const facts = proxyActivities<FactActivities>({
  startToCloseTimeout: '6 hours',
  heartbeatTimeout: '10s',
  scheduleToCloseTimeout: '12 hours',
  retry,
})

/** Activities of the execution runtime, which listens on a queue of its own beside ours. */
const execution = (scheduleToCloseTimeout: '7 days' | '1 minute' = '7 days') =>
  proxyActivities<ExecutionActivities>({
    taskQueue: executionQueue(workflowInfo().taskQueue),
    startToCloseTimeout: '30 minutes',
    heartbeatTimeout: '10s',
    scheduleToCloseTimeout,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry,
  })

/**
 * Executes a proposal that was enqueued. Only references come in and go out: what a step is about,
 * and why it failed, stands on the ledger.
 */
export async function executeProposal(ref: ProposalRef): Promise<void> {
  let step: string = steps.begin
  let assetInHand: string | undefined
  const finish = (ending: Ending) =>
    CancellationScope.nonCancellable(() => ledger.finishProposal({ ...ref, ending }))
  try {
    if (!(await ledger.beginProposal(ref)).begun) return
    step = steps.enforce
    const { runs, kind, assetIds } = await ledger.enforcePolicy(ref)
    if (!runs) return void (await finish({ goal: 'missed', code: 'step-failed', step }))
    if (isControl(kind)) {
      step = steps.control
      if ((await ledger.changeControl(ref)).outcome !== 'done')
        return void (await finish({ goal: 'missed', code: 'step-failed', step }))
    }
    for (const assetId of assetIds) {
      const change = { ...ref, assetId }
      step = kind === 'asset-registration' ? steps.register : steps.mutate(assetId)
      assetInHand = assetId
      const { outcome } = await (kind === 'asset-registration'
        ? execution().registerAsset(change)
        : settled(change))
      if (outcome !== 'done')
        return void (await finish({ goal: 'missed', code: 'step-failed', step }))
      assetInHand = undefined
    }
    step = steps.finish
    await finish({ goal: 'reached' })
  } catch (error) {
    // Anything else is a fault of this code: Temporal keeps the task until a version without it runs.
    if (!(error instanceof TemporalFailure)) throw error
    const asset = assetInHand
    if (asset !== undefined)
      await CancellationScope.nonCancellable(() =>
        execution().resolveAsset({ ...ref, assetId: asset }),
      )
    await finish({ goal: 'missed', code: codeOf(error), step })
  }
}

/** A change that is about no asset is made on the ledger. Types alone come into the sandbox from there. */
const isControl = (kind: Enforced['kind']): boolean =>
  kind !== 'asset-operation' && kind !== 'asset-registration'

/** Mutates an asset; an outcome that nobody could tell is resolved by looking at the asset. */
async function settled(change: ProposalRef & AssetRef): Promise<StepAnswer> {
  const answer = await execution().mutateAsset(change)
  return answer.outcome === 'indeterminate' ? execution().resolveAsset(change) : answer
}

function codeOf(error: unknown): EndingCode {
  // An activity that was told to stop may end in any way; what matters is that it was told.
  if (isCancellation(error) || CancellationScope.current().consideredCancelled)
    return 'workflow-cancelled'
  return error instanceof ActivityFailure && error.cause instanceof TimeoutFailure
    ? 'step-timed-out'
    : 'step-failed'
}

/** Looks at one asset, for instance because one of its processes exited. */
export async function observeAsset(
  request: AssetRef & { readonly cause: ObservationCause },
): Promise<void> {
  await execution().observeAsset(request)
}

/** Looks at every registered asset. One that cannot be observed does not keep the others waiting. */
export async function observeAssets({
  cause,
}: {
  readonly cause: ObservationCause
}): Promise<void> {
  const waiting = [...(await ledger.listAssets())]
  const activities = execution()
  const look = async () => {
    for (let asset = waiting.shift(); asset !== undefined; asset = waiting.shift()) {
      await activities.observeAsset({ ...asset, cause })
    }
  }
  await Promise.allSettled(Array.from({ length: observationsMax }, look))
}

/**
 * Compares the open proposals of the ledger with Temporal, so that one that was terminated or lost
 * there still ends on the ledger, or starts again. Expiry runs here too.
 */
export async function reconcileProposals(): Promise<void> {
  const { ended, expired } = await ledger.compareProposals()
  for (const ref of expired) await ledger.expireProposal(ref)
  for (const { assetIds, code, ...ref } of ended) {
    // An asset that cannot be observed now keeps its change open until the next run can: this one
    // must not wait long, because no other begins before its end.
    const { resolveAsset } = execution('1 minute')
    const resolved = await Promise.allSettled(
      assetIds.map((assetId) => resolveAsset({ ...ref, assetId })),
    )
    if (resolved.every(({ status }) => status === 'fulfilled')) {
      await ledger.finishProposal({ ...ref, ending: { goal: 'missed', code } })
    }
  }
}

/** Compares fact tables with the ledger; what was mended is compared once more. */
export async function checkFacts(wish: FactCheckWish): Promise<void> {
  const { unsound } = await facts.checkFacts({ ...wish, round: 'check' })
  if (!wish.repair || unsound.length === 0) return
  await facts.mendFacts({ tables: unsound })
  await facts.checkFacts({ tables: unsound, round: 'check-again' })
}
