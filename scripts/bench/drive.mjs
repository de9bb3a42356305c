// Callers that append one after the other, each to its own stream, until the time is over; then
// everything that was begun is waited for, and counts with the time that it took.
import { drafts, streamOf } from './events.mjs'
import { quantile } from './statistics.mjs'

/** Events that may wait in all: beyond, callers would only measure how long a queue is. */
export const inFlightMax = 16_384

/** How many of these callers can wait at a time; a store that gains nothing by more says so in `callersMax`. */
export const callersInFlight = (callers, batch, { callersMax } = {}) =>
  Math.max(
    1,
    Math.min(
      callers,
      Math.floor(inFlightMax / batch),
      callersMax?.(batch) ?? Number.POSITIVE_INFINITY,
    ),
  )

export async function drive(store, { callers, batch, ms }) {
  const latencies = []
  const began = performance.now()
  const deadline = began + ms
  const one = async (_, caller) => {
    const stream = streamOf(caller)
    for (let at = performance.now(); at < deadline;) {
      await store.append(stream, drafts(batch))
      const after = performance.now()
      latencies.push(after - at)
      at = after
    }
  }
  await Promise.all(Array.from({ length: callersInFlight(callers, batch, store) }, one))
  const tookMs = performance.now() - began
  const events = latencies.length * batch
  return {
    events,
    per_second: (events * 1000) / tookMs,
    p50_ms: quantile(latencies, 0.5),
    p99_ms: quantile(latencies, 0.99),
  }
}
