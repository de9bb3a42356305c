import type { EventReader, LogFilter, RecordedEvent } from './event-store.js'

/** State folded from the log, brought up to its head whenever it is asked for. */
export interface Fold<State> {
  /** The state after every event that was on the ledger when the call began. */
  current(): Promise<State>
  /** Number of leaves folded: the state is true of every position below it. */
  position(): number
}

/**
 * Folds matching events into one state in memory. `evolve` changes and returns the state it was
 * given; it must be total: an event it cannot read is its caller's fault, not the reader's.
 */
export function createFold<State>(
  reader: EventReader,
  {
    filter,
    initial,
    evolve,
  }: {
    readonly filter: LogFilter
    readonly initial: State
    readonly evolve: (state: State, event: RecordedEvent) => State
  },
): Fold<State> {
  let state = initial
  let next = 0
  let running: Promise<void> = Promise.resolve()

  const catchUp = async () => {
    const head = reader.size()
    if (next >= head) return
    for await (const event of reader.readLog({ from: next, filter, max: head - next })) {
      if (event.position >= head) break
      state = evolve(state, event)
      next = event.position + 1
    }
    next = Math.max(next, head)
  }

  return {
    async current() {
      // One catch-up at a time: a second caller waits for the first and then looks again.
      const mine = running.then(catchUp)
      running = mine.catch(() => undefined)
      await mine
      return state
    },
    position: () => next,
  }
}
