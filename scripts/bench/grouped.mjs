// Group commit for libraries that have none: whatever waits is committed together, as the ledger does it.
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Events of one group at most; the same bound as the ledger's. */
export const groupEventsMax = 8_192

/** `commit` makes a list of `{ stream, drafts }` durable; whoever waits for one of them is answered then. */
export function createGroups(commit) {
  let waiting = []
  let running = false

  const take = () => {
    let events = 0
    let count = 0
    for (const { request } of waiting) {
      if (count > 0 && events + request.drafts.length > groupEventsMax) break
      events += request.drafts.length
      count += 1
    }
    const group = waiting.slice(0, count)
    waiting = waiting.slice(count)
    return group
  }

  const run = async () => {
    running = true
    while (waiting.length > 0) {
      // Callers that were just answered can join the next group.
      await nextTurn()
      const group = take()
      try {
        await commit(group.map(({ request }) => request))
        for (const { done } of group) done()
      } catch (error) {
        for (const { failed } of group) failed(error)
      }
    }
    running = false
  }

  return (stream, drafts) =>
    new Promise((done, failed) => {
      waiting.push({ request: { stream, drafts }, done, failed })
      if (!running) void run()
    })
}
