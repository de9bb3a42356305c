import type { Log } from './log.js'

/** A part that hangs must not keep the others from ending well. */
const closeStepMs = 4_000

type Close = () => Promise<unknown>

/** Parts that were started, ended in reverse order; one that does not end in time is left to the process's end. */
export function createClosing(log: Log) {
  const steps: { readonly name: string; readonly close: Close }[] = []
  return {
    add(name: string, close: Close) {
      steps.unshift({ name, close })
    },
    async closeAll() {
      for (const { name, close } of steps.splice(0)) {
        let late: NodeJS.Timeout | undefined
        const bound = new Promise<void>((done) => {
          late = setTimeout(() => {
            log.warn('a part did not end in time', { part: name })
            done()
          }, closeStepMs)
        })
        await Promise.race([close(), bound]).catch((error: unknown) => {
          log.error('a part did not end well', {
            part: name,
            error: error instanceof Error ? error.name : typeof error,
          })
        })
        clearTimeout(late)
      }
    },
  }
}
export type Closing = ReturnType<typeof createClosing>
