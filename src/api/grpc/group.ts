import * as z from 'zod'
import type {
  ConsumerStrategy,
  GroupStore,
  SubscriptionGroup,
} from '../../contracts/subscription-group.js'
import type { RecordedEvent } from '../../ledger/event-store.js'
import type { LedgerView } from '../../runtime/ledger-view.js'
import type { Log } from '../../runtime/log.js'
import { targetOf } from './links.js'
import { groupProgress } from './group-progress.js'
import { groupReader } from './group-reader.js'

/** A message on its way to a consumer. */
export interface Message {
  readonly event: RecordedEvent
  /** The revision or position by which the group counts. */
  readonly place: number
  readonly retryCount: number
}

/** A consumer as the group sees it. */
export interface Consumer {
  readonly username: string
  readonly connectionName: string
  readonly from: string
  /** Messages that it takes before it has acknowledged those before. */
  readonly bufferSize: number
  inFlight: number
  total: number
  /** Milliseconds from sending to acknowledging of its last messages. */
  readonly latencies: number[]
  deliver(message: Message): void
  /** Ends its call. */
  drop(): void
}

export type NackAction = 'park' | 'retry' | 'skip' | 'stop'

interface InFlight {
  readonly message: Message
  readonly consumer: Consumer
  readonly sentMs: number
}

/** How often messages are looked for that nobody acknowledged in time, and progress is kept. */
const lookMs = 100
const latenciesMax = 256

/** One persistent subscription while it runs. */
export interface Group {
  readonly state: SubscriptionGroup
  readonly consumers: ReadonlySet<Consumer>
  /** Counts of what it holds. */
  counts(): {
    fresh: number
    retries: number
    inFlight: number
    total: number
    lastKnown: number | null
  }
  join(consumer: Consumer): void
  leave(consumer: Consumer): void
  ack(consumer: Consumer, ids: readonly string[]): void
  nack(consumer: Consumer, ids: readonly string[], action: NackAction, reason: string): void
  /** Gives parked messages to consumers again, at most so many. */
  replay(max: number): Promise<void>
  /** Ends every consumer's call and keeps how far they have come. */
  end(): Promise<void>
}

export function runGroup(
  initial: SubscriptionGroup,
  parts: {
    readonly ledger: LedgerView
    readonly store: GroupStore
    readonly now: () => number
    readonly log: Log
  },
): Group {
  const { ledger, now, log } = parts
  const { settings } = initial
  const progress = groupProgress(initial, parts)
  const consumers = new Set<Consumer>()
  const fresh: Message[] = []
  const retries: Message[] = []
  const inFlight = new Map<string, InFlight>()
  const choose = consumerChoice(settings.strategy, consumers)
  let ended = false

  const reader = groupReader(ledger, initial, {
    room: () => fresh.length < Math.max(1, settings.historyBufferSize),
    take(event, place) {
      progress.read(place)
      fresh.push({ event, place, retryCount: 0 })
      dispatch()
    },
    failed(error) {
      log.error('a persistent subscription cannot read', { error: String(error) })
      for (const consumer of [...consumers]) consumer.drop()
    },
  })

  const park = ({ event, place }: Message, reason: string) => {
    progress.park(event.position, reason)
    progress.done(place)
    progress.keep(true)
  }

  const again = (message: Message, reason: string) => {
    const retryCount = message.retryCount + 1
    if (retryCount > settings.maxRetryCount) park(message, reason)
    else retries.push({ ...message, retryCount })
  }

  /** Gives out what can be given out; a message that has to wait for its consumer holds up no other. */
  function dispatch(): void {
    if (consumers.size === 0) return
    for (const queue of [retries, fresh]) {
      for (let at = 0; at < queue.length;) {
        const message = queue[at]
        const consumer = message === undefined ? undefined : choose(message)
        if (message === undefined || consumer === undefined) {
          if (!isPinned(settings.strategy)) break
          at += 1
          continue
        }
        queue.splice(at, 1)
        consumer.inFlight += 1
        inFlight.set(message.event.leaf.id, { message, consumer, sentMs: now() })
        consumer.deliver(message)
      }
    }
    reader.resume()
  }

  /** Takes messages back from their consumer. */
  const take = (consumer: Consumer | undefined, ids: readonly string[]): Message[] =>
    ids.flatMap((id) => {
      const found = inFlight.get(id)
      if (found === undefined || (consumer !== undefined && found.consumer !== consumer)) return []
      inFlight.delete(id)
      found.consumer.inFlight -= 1
      found.consumer.latencies.push(now() - found.sentMs)
      if (found.consumer.latencies.length > latenciesMax) found.consumer.latencies.shift()
      return [found.message]
    })

  const timer = setInterval(() => {
    const late = [...inFlight]
      .filter(([, { sentMs }]) => now() - sentMs >= settings.messageTimeoutMs)
      .map(([id]) => id)
    if (settings.messageTimeoutMs > 0)
      for (const message of take(undefined, late)) again(message, 'not acknowledged in time')
    if (late.length > 0) dispatch()
    progress.keep()
  }, lookMs)
  timer.unref()

  return {
    get state() {
      return progress.state
    },
    consumers,
    counts: () => ({
      fresh: fresh.length,
      retries: retries.length,
      inFlight: inFlight.size,
      total: progress.total,
      lastKnown: progress.lastRead,
    }),
    join(consumer) {
      consumers.add(consumer)
      reader.resume()
      dispatch()
    },
    leave(consumer) {
      consumers.delete(consumer)
      const mine = [...inFlight].filter(([, one]) => one.consumer === consumer).map(([id]) => id)
      // Before those that wait: they were to come first.
      retries.unshift(...take(consumer, mine))
      progress.keep(true)
      dispatch()
    },
    ack(consumer, ids) {
      for (const { place } of take(consumer, ids)) {
        consumer.total += 1
        progress.done(place)
      }
      progress.keep()
      dispatch()
    },
    nack(consumer, ids, action, reason) {
      for (const message of take(consumer, ids)) {
        if (action === 'park') park(message, reason)
        else if (action === 'skip') progress.done(message.place)
        else again(message, reason)
      }
      progress.keep()
      if (action === 'stop') consumer.drop()
      dispatch()
    },
    async replay(max) {
      const replayed = progress.state.parked.slice(0, max)
      for await (const event of reader.eventsAt(replayed.map(({ position }) => position)))
        retries.push({ event, place: reader.placeOf(event), retryCount: 0 })
      progress.unpark(replayed.length)
      progress.keep(true)
      dispatch()
    },
    async end() {
      if (ended) return
      ended = true
      clearInterval(timer)
      for (const consumer of [...consumers]) consumer.drop()
      await reader.end()
      await progress.close()
    },
  }
}

/** Who gets a message next; undefined when nobody who may has room. */
function consumerChoice(strategy: ConsumerStrategy, consumers: ReadonlySet<Consumer>) {
  let turn = 0
  const hasRoom = (consumer: Consumer) => consumer.inFlight < consumer.bufferSize
  return ({ event }: Message): Consumer | undefined => {
    const all = [...consumers]
    if (strategy === 'DispatchToSingle') return all.find(hasRoom)
    if (isPinned(strategy)) {
      const pinned = all[hashOf(pinOf(strategy, event)) % Math.max(1, all.length)]
      return pinned !== undefined && hasRoom(pinned) ? pinned : undefined
    }
    for (let i = 0; i < all.length; i += 1) {
      const consumer = all[(turn + i) % all.length]
      if (consumer === undefined || !hasRoom(consumer)) continue
      turn = (turn + i + 1) % all.length
      return consumer
    }
    return undefined
  }
}

const isPinned = (strategy: ConsumerStrategy): boolean =>
  strategy === 'Pinned' || strategy === 'PinnedByCorrelation'

/** What has the same of it goes to the same consumer: a correlation that the metadata names, or else the stream. */
function pinOf(strategy: ConsumerStrategy, event: RecordedEvent): string {
  const stream = targetOf(event)?.stream ?? event.leaf.stream
  if (strategy === 'Pinned' || event.metadata === null) return stream
  try {
    const metadata: unknown = JSON.parse(Buffer.from(event.metadata.bytes).toString('utf8'))
    return Correlated.safeParse(metadata).data?.$correlationId ?? stream
  } catch {
    // Metadata of clients need not be JSON.
    return stream
  }
}

const Correlated = z.looseObject({ $correlationId: z.string() })

/** 32-bit FNV-1a: which of the consumers something is pinned to. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at += 1)
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  return hash >>> 0
}
