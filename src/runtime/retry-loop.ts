import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../contracts/errors.js'
import type { Log } from './log.js'

const backoffMinMs = 200
const backoffMaxMs = 10_000

export interface RetryLoop {
  /** Has the work done again, soon; what is asked for while it is being done counts once. */
  wake(): void
  close(): Promise<void>
}

/**
 * Does `work` at once, whenever it is woken, and again after a growing pause as long as it answers
 * false (something was left over) or fails.
 */
export function startRetryLoop({
  name,
  log,
  work,
}: {
  readonly name: string
  readonly log: Log
  readonly work: (signal: AbortSignal) => Promise<boolean>
}): RetryLoop {
  const closing = new AbortController()
  let woken = true
  let wakeUp = () => {}

  const run = async () => {
    let backoffMs = backoffMinMs
    while (!closing.signal.aborted) {
      if (!woken) await new Promise<void>((done) => (wakeUp = done))
      if (closing.signal.aborted) return
      woken = false
      const isDone = await work(closing.signal).catch((error: unknown) => {
        const code =
          error instanceof EvidenceError
            ? error.code
            : error instanceof Error
              ? error.name
              : typeof error
        if (!closing.signal.aborted)
          log.warn(`${name} failed and is tried again`, { code, again_in_ms: backoffMs })
        return false
      })
      if (isDone) {
        backoffMs = backoffMinMs
      } else {
        await pause(backoffMs, undefined, { signal: closing.signal }).catch(() => undefined)
        backoffMs = Math.min(backoffMs * 2, backoffMaxMs)
        woken = true
      }
    }
  }
  const running = run()

  const wake = () => {
    woken = true
    wakeUp()
  }
  return {
    wake,
    async close() {
      closing.abort()
      wake()
      await running
    },
  }
}
