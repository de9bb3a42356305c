import type { LiveEvent } from '../contracts/http.js'
import type { EventReader, RecordedEvent } from '../ledger/event-store.js'
import { liveEvent } from './event-view.js'

/** Messages that wait for one follower; one that is slower reads the log itself, behind the others. */
export const waitingMessagesMax = 256
/** So far behind the head a follower reads on by itself before it joins the others. */
const nearEvents = 1_000

/** One live message, and its text, which is made once for everybody. */
export interface LiveMessage {
  readonly position: number
  readonly event: LiveEvent
  readonly text: string
}

/** What somebody wants to be told of; everything that is named must fit. */
export interface LiveWish {
  readonly project: string
  readonly proposal?: string | undefined
  readonly asset?: string | undefined
  readonly types?: readonly string[] | undefined
}

/**
 * Events as live messages for many followers. Those at the head share one reader, which looks up who wants an event, so
 * that a follower of one proposal costs nothing when others move.
 */
export interface LiveFeed {
  /** Every matching message from a position on, in order, until the signal aborts. */
  follow(from: number, wish: LiveWish, signal: AbortSignal): AsyncGenerator<LiveMessage>
}

interface Follower {
  readonly wish: LiveWish
  readonly waiting: LiveMessage[]
  /** Where more came than may wait: from there it goes on by itself. */
  fellBehindAt: number | undefined
  wake(): void
}

/** The narrowest group of followers that a wish belongs to. */
const groupOf = ({ project, proposal, asset }: LiveWish): string =>
  proposal !== undefined
    ? `${project}\nproposal ${proposal}`
    : asset !== undefined
      ? `${project}\nasset ${asset}`
      : project

const groupsOf = ({ project, proposal_id: proposal, asset_id: asset }: LiveEvent): string[] => [
  project,
  ...(proposal === undefined ? [] : [groupOf({ project, proposal })]),
  ...(asset === undefined ? [] : [groupOf({ project, asset })]),
]

const wants = ({ project, proposal, asset, types }: LiveWish, event: LiveEvent): boolean =>
  event.project === project &&
  (proposal === undefined || event.proposal_id === proposal) &&
  (asset === undefined || event.asset_id === asset) &&
  (types === undefined || types.includes(event.type))

function messageOf(event: RecordedEvent): LiveMessage {
  const message = liveEvent(event)
  let text: string | undefined
  return {
    position: event.position,
    event: message,
    get text() {
      return (text ??= JSON.stringify(message))
    },
  }
}

export function createLiveFeed(reader: EventReader): LiveFeed {
  const groups = new Map<string, Set<Follower>>()
  const projects = new Map<string, number>()
  let reading: AbortController | undefined
  let failure: Error | undefined
  /** Every event below it was handed out. */
  let position = 0

  const handOut = (event: RecordedEvent) => {
    position = event.position + 1
    // Who an event is about stands in its data: not read for projects that nobody follows.
    if (!projects.has(event.leaf.project)) return
    const message = messageOf(event)
    for (const group of groupsOf(message.event))
      for (const follower of groups.get(group) ?? []) {
        if (follower.fellBehindAt !== undefined || !wants(follower.wish, message.event)) continue
        if (follower.waiting.length >= waitingMessagesMax) follower.fellBehindAt = event.position
        else follower.waiting.push(message)
        follower.wake()
      }
  }

  async function read(signal: AbortSignal) {
    for await (const delivery of reader.subscribe({ from: position, signal })) {
      if (signal.aborted) return
      if (delivery.kind === 'event') handOut(delivery.event)
      else position = delivery.position
    }
  }

  const begin = () => {
    const mine = new AbortController()
    reading = mine
    failure = undefined
    position = reader.size()
    read(mine.signal).catch((error: unknown) => {
      if (reading !== mine) return
      failure = error instanceof Error ? error : new Error(String(error))
      for (const group of groups.values()) for (const follower of group) follower.wake()
    })
  }

  const join = (wish: LiveWish, wake: () => void): Follower => {
    if (reading === undefined || failure !== undefined) begin()
    const follower: Follower = { wish, waiting: [], fellBehindAt: undefined, wake }
    const name = groupOf(wish)
    const group = groups.get(name) ?? new Set()
    groups.set(name, group.add(follower))
    projects.set(wish.project, (projects.get(wish.project) ?? 0) + 1)
    return follower
  }

  const leave = (follower: Follower) => {
    const { project } = follower.wish
    const name = groupOf(follower.wish)
    const group = groups.get(name)
    group?.delete(follower)
    if (group?.size === 0) groups.delete(name)
    const left = (projects.get(project) ?? 1) - 1
    if (left > 0) projects.set(project, left)
    else projects.delete(project)
    if (projects.size > 0) return
    reading?.abort()
    reading = undefined
  }

  /** Matching events of the log in `[from, to)`. */
  async function* between(
    from: number,
    to: number,
    wish: LiveWish,
    signal: AbortSignal,
  ): AsyncGenerator<LiveMessage> {
    if (from >= to) return
    const { project, types } = wish
    const filter = { project, ...(types === undefined ? {} : { types }) }
    for await (const event of reader.readLog({ from, filter })) {
      if (event.position >= to || signal.aborted) return
      const message = messageOf(event)
      if (wants(wish, message.event)) yield message
    }
  }

  async function* follow(from: number, wish: LiveWish, signal: AbortSignal) {
    let next = from
    let wake = () => {}
    signal.addEventListener('abort', () => wake(), { once: true })
    while (!signal.aborted) {
      for (let size = reader.size(); next + nearEvents < size; size = reader.size()) {
        yield* between(next, size, wish, signal)
        if (signal.aborted) return
        next = size
      }
      const follower = join(wish, () => wake())
      try {
        // What was handed out before it joined is read here; what came since waits meanwhile.
        const joined = position
        for await (const message of between(next, joined, wish, signal)) {
          next = message.position + 1
          yield message
        }
        next = Math.max(next, joined)
        while (!signal.aborted) {
          const message = follower.waiting.shift()
          if (message !== undefined) {
            if (message.position < next) continue
            next = message.position + 1
            yield message
          } else if (failure !== undefined) throw failure
          else if (follower.fellBehindAt !== undefined) {
            next = Math.max(next, follower.fellBehindAt)
            break
          } else await new Promise<void>((done) => (wake = done))
        }
      } finally {
        leave(follower)
      }
    }
  }

  return { follow }
}
