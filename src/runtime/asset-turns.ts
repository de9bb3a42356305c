/** Lets one piece of work at a time have an asset. */
export interface Turns {
  /** Runs the work when all that came before it for the same key have ended, however they ended. */
  take<Result>(key: string, work: () => Promise<Result>): Promise<Result>
}

/**
 * Turns within this process. An attempt that Temporal gave up may still be working on the asset;
 * the next one, an observation or a resolution waits for it instead of looking at a half-made change.
 */
export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return {
    take(key, work) {
      const before = last.get(key) ?? Promise.resolve()
      const mine = before.then(work, work)
      const settled = mine.then(
        () => undefined,
        () => undefined,
      )
      last.set(key, settled)
      void settled.then(() => {
        if (last.get(key) === settled) last.delete(key)
      })
      return mine
    },
  }
}
