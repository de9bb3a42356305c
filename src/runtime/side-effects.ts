import { AsyncLocalStorage } from 'node:async_hooks'
import type { Context } from '@temporalio/activity'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { EvidenceError } from '../contracts/errors.js'
import type { EventStore } from '../ledger/event-store.js'
import { mintSideEffectWriter, type SideEffectWriter } from '../ledger/writers.js'

interface Bound {
  readonly writer: SideEffectWriter
}

/** How often a running attempt tells Temporal that it lives; a dead one is given to another worker. */
const heartbeatIntervalMs = 2_000

// A key, not a state: what is bound to it lives and ends with one attempt.
const attempts = new AsyncLocalStorage<Bound>()

/**
 * The side-effect capability of the attempt in which the caller runs.
 * @throws EvidenceError CAPABILITY_ENDED outside an activity.
 */
export function currentWriter(): SideEffectWriter {
  const bound = attempts.getStore()
  if (bound === undefined) {
    throw new EvidenceError(
      'CAPABILITY_ENDED',
      'side effects are appended inside a Temporal activity only',
    )
  }
  return bound.writer
}

const isShutdown = (signal: AbortSignal) =>
  signal.reason instanceof Error && signal.reason.message === 'WORKER_SHUTDOWN'

/**
 * Mints the capability of every attempt and takes it back at its end (law 3).
 *
 * When the worker stops, the capability ends before the activity hears of it: the attempt leaves
 * its outcome to the next one instead of recording an end that only the stop brought about.
 */
export const sideEffects =
  (store: EventStore): ActivityInterceptorsFactory =>
  (context: Context) => ({
    inbound: {
      async execute(input, next) {
        const { workflowExecution, activityId, activityType } = context.info
        if (workflowExecution === undefined) {
          throw new EvidenceError(
            'CAPABILITY_ENDED',
            `the activity ${activityType} belongs to no workflow`,
          )
        }
        const minted = mintSideEffectWriter(store, {
          workflowId: workflowExecution.workflowId,
          activityId,
          activityType,
          isCurrent: () => attempts.getStore() === bound,
        })
        const bound: Bound = { writer: minted.writer }
        const signal = context.cancellationSignal
        const atStop = () => {
          if (isShutdown(signal)) minted.end()
        }
        if (signal.aborted) atStop()
        signal.addEventListener('abort', atStop, { once: true })
        const beat = setInterval(() => context.heartbeat(), heartbeatIntervalMs)
        try {
          return await attempts.run(bound, () => Promise.race([next(input), stopped(signal)]))
        } finally {
          minted.end()
          clearInterval(beat)
          signal.removeEventListener('abort', atStop)
        }
      },
    },
  })

/** Rejects when the worker stops: what the attempt still does has no capability and no listener. */
const stopped = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    const look = () => {
      if (isShutdown(signal)) reject(signal.reason)
    }
    if (signal.aborted) look()
    signal.addEventListener('abort', look, { once: true })
  })
