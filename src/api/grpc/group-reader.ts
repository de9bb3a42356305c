import type { SubscriptionGroup } from '../../contracts/subscription-group.js'
import type { RecordedEvent } from '../../ledger/event-store.js'
import type { LedgerView } from '../../runtime/ledger-view.js'
import { type NameFilter, nameFilter } from './name-filter.js'

/** Reads what a group wants, as far as there is room for it, and follows the log. */
export interface GroupReader {
  /** There may be room again. */
  resume(): void
  placeOf(event: RecordedEvent): number
  eventsAt(positions: readonly number[]): AsyncIterable<RecordedEvent>
  end(): Promise<void>
}

export function groupReader(
  ledger: LedgerView,
  group: SubscriptionGroup,
  to: {
    room(): boolean
    take(event: RecordedEvent, place: number): void
    failed(error: unknown): void
  },
): GroupReader {
  const { project, stream, next } = group
  const filter = filterOf(group)
  const ending = new AbortController()
  let roomAgain = () => {}
  let running: Promise<void> | undefined
  const placeOf = (event: RecordedEvent) =>
    stream === null ? event.position : Number(event.leaf.revision)

  const waitForRoom = async () => {
    while (!to.room() && !ending.signal.aborted)
      await new Promise<void>((resolve) => {
        roomAgain = resolve
      })
  }

  let wanted = next
  const take = async (event: RecordedEvent) => {
    const place = placeOf(event)
    if (place < wanted || filter?.wants(event) === false) return
    await waitForRoom()
    if (ending.signal.aborted) return
    wanted = place + 1
    to.take(event, place)
  }

  const follow = async () => {
    // What is committed while a stream is read is either in what is read or behind `head`.
    const head = stream === null ? next : ledger.size()
    if (stream !== null)
      for await (const event of ledger.readStream({ project, stream, from: next })) {
        await take(event)
        if (ending.signal.aborted) return
      }
    for await (const delivery of ledger.subscribe({
      from: head,
      filter: { project, ...(stream === null ? {} : { streamPrefixes: [stream] }) },
      signal: ending.signal,
    })) {
      if (delivery.kind !== 'event') continue
      if (stream === null || delivery.event.leaf.stream === stream) await take(delivery.event)
    }
  }

  return {
    resume() {
      if (ending.signal.aborted) return
      running ??= follow().catch((error: unknown) => to.failed(error))
      roomAgain()
    },
    placeOf,
    async *eventsAt(positions) {
      for (const position of positions)
        for await (const event of ledger.readLog({ from: position, max: 1 }))
          if (event.position === position) yield event
    },
    async end() {
      ending.abort()
      roomAgain()
      await running
    },
  }
}

function filterOf({ filter }: SubscriptionGroup): NameFilter | undefined {
  if (filter === null) return undefined
  const { on, regex, prefixes } = filter
  return nameFilter({ [on === 'stream' ? 'streamIdentifier' : 'eventType']: { regex, prefixes } })
}
