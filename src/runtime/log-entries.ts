import type { EventReader, ProofSource, PublishedCheckpoint } from '../ledger/event-store.js'
import type { LogEntry } from '../projections/projector.js'

export const rangeEventsMax = 10_000
export const rangeBytesMax = 8 * 1024 * 1024

/**
 * The events of a range with their checkpoints, and where it ends: before `to` when it is full,
 * unless it `mustReach`. Raw leaves have no entry.
 */
export async function entriesOf(
  { reader, proofs }: { readonly reader: EventReader; readonly proofs: ProofSource },
  from: number,
  to: number,
  mustReach: boolean,
): Promise<{ readonly entries: readonly LogEntry[]; readonly end: number }> {
  const checkpoints = new Map<number, PublishedCheckpoint>()
  for await (const checkpoint of proofs.checkpointsAfter(from)) {
    if (checkpoint.size > to) break
    checkpoints.set(checkpoint.size, checkpoint)
  }
  const entries: LogEntry[] = []
  let bytes = 0
  for await (const event of reader.readLog({ from, max: to - from })) {
    if (event.position >= to) break
    const checkpoint = checkpoints.get(event.position + 1)
    entries.push(checkpoint === undefined ? { event } : { event, checkpoint })
    bytes += event.data?.bytes.length ?? 0
    if (!mustReach && bytes >= rangeBytesMax) return { entries, end: event.position + 1 }
  }
  return { entries, end: to }
}
