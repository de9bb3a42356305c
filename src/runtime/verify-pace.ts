import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { VerificationPace } from '../ledger/verification.js'

/** Pauses are gathered until one of them is worth a timer. */
const pauseMinMs = 4
const pauseMaxMs = 1_000

/**
 * Bounds work to a rate and to a share of the time. It is called between pieces of work and answers a
 * pause for what was done since; when `signal` is aborted it ends the work by throwing.
 */
export function createPace(options: {
  readonly bytesPerSecond: number
  readonly share: number
  /** A clock that never jumps. */
  readonly elapsedMs?: () => number
  readonly signal: AbortSignal
  readonly onBytes?: (bytes: number) => void
}): VerificationPace {
  const { bytesPerSecond, share, signal, onBytes } = options
  const nowMs = options.elapsedMs ?? (() => performance.now())
  let owedMs = 0
  let begunMs = nowMs()
  return (bytes) => {
    onBytes?.(bytes)
    const workedMs = nowMs() - begunMs
    owedMs += Math.max((bytes / bytesPerSecond) * 1000 - workedMs, workedMs * (1 / share - 1))
    begunMs = nowMs()
    return (async () => {
      if (owedMs >= pauseMinMs) {
        await pause(Math.min(owedMs, pauseMaxMs), undefined, { signal })
        owedMs = Math.max(0, owedMs - pauseMaxMs)
      } else await nextTurn()
      signal.throwIfAborted()
      begunMs = nowMs()
    })()
  }
}
