import type { Log } from './log.js'
import { startRetryLoop } from './retry-loop.js'
import type { AssetRef } from './step-names.js'
import type { WorkflowStarter } from './workflow-starter.js'

export interface AssetObserver {
  /** An asset changed without a mutation: have it observed by an activity. */
  changed(asset: AssetRef): void
  /** Temporal is there anew. */
  executionIsBack(): void
  close(): Promise<void>
}

/**
 * Has assets observed: all of them once after the start, one whenever its controller says that it
 * changed. Requests wait for Temporal; those of one asset that wait together are one. A request that
 * this process takes with it when it dies is covered by the observation after the next start.
 */
export function observeChanges({
  starter,
  log,
  newId,
}: {
  readonly starter: WorkflowStarter
  readonly log: Log
  readonly newId: () => string
}): AssetObserver {
  const waiting = new Map<string, AssetRef & { readonly workflowId: string }>()
  const firstId = `observe-${newId()}`
  let isFirstDone = false

  const loop = startRetryLoop({
    name: 'observing assets',
    log,
    async work(signal) {
      // Temporal being away is nothing to report here: its return wakes this loop.
      if (!starter.isReached()) return waiting.size === 0 && isFirstDone
      if (!isFirstDone) await starter.startObservations(firstId, 'start')
      isFirstDone = true
      for (const [key, { workflowId, project, assetId }] of [...waiting]) {
        if (signal.aborted) return true
        // Taken out first: a change that is told from here on needs an observation of its own.
        waiting.delete(key)
        try {
          await starter.startObservation(workflowId, { project, assetId }, 'exit')
        } catch (error) {
          if (!waiting.has(key)) waiting.set(key, { workflowId, project, assetId })
          throw error
        }
      }
      return true
    },
  })

  return {
    changed({ project, assetId }) {
      const key = `${project}/${assetId}`
      if (!waiting.has(key))
        waiting.set(key, { project, assetId, workflowId: `observe-${newId()}` })
      loop.wake()
    },
    executionIsBack: () => loop.wake(),
    close: () => loop.close(),
  }
}
