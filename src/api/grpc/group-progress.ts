import {
  type GroupStore,
  parkedMax,
  type SubscriptionGroup,
} from '../../contracts/subscription-group.js'
import type { Log } from '../../runtime/log.js'

/** How far a group has come, in memory and as it is kept. */
export interface GroupProgress {
  readonly state: SubscriptionGroup
  readonly total: number
  /** The last revision or position that was read; null = none yet. */
  readonly lastRead: number | null
  read(place: number): void
  /** Nobody has to do anything with it any more. */
  done(place: number): void
  park(position: number, reason: string): void
  /** The first so many parked messages wait no more. */
  unpark(count: number): void
  /** Keeps it when enough is done, or some is and a while has passed; or in any case. */
  keep(force?: boolean): void
  /** Keeps it for the last time: another may run this group from then on. */
  close(): Promise<void>
}

export function groupProgress(
  initial: SubscriptionGroup,
  {
    store,
    now,
    log,
  }: { readonly store: GroupStore; readonly now: () => number; readonly log: Log },
): GroupProgress {
  const { settings } = initial
  /** Places that were read and not done with, in their order. */
  const open = new Set<number>()
  let state = initial
  let lastRead: number | null = null
  let total = 0
  let doneSinceKept = 0
  let keptMs = now()
  let keeping: Promise<void> = Promise.resolve()
  let closed = false

  const keep = (force = false) => {
    const due =
      doneSinceKept >= Math.max(1, settings.maxCheckpointCount) ||
      (doneSinceKept >= Math.max(1, settings.minCheckpointCount) &&
        now() - keptMs >= settings.checkpointAfterMs)
    if (closed || (!force && !due)) return
    doneSinceKept = 0
    keptMs = now()
    const [lowest] = open
    const next = lowest ?? (lastRead === null ? state.next : lastRead + 1)
    if (next > state.next) state = { ...state, next, checkpoint: next - 1 }
    const kept = state
    keeping = keeping
      .then(() => store.save(kept))
      .catch((error: unknown) =>
        log.error('a persistent subscription cannot be kept', { error: String(error) }),
      )
  }

  return {
    get state() {
      return state
    },
    get total() {
      return total
    },
    get lastRead() {
      return lastRead
    },
    read(place) {
      lastRead = place
      open.add(place)
    },
    done(place) {
      open.delete(place)
      total += 1
      doneSinceKept += 1
    },
    park(position, reason) {
      const parked = [...state.parked, { position, reason: reason.slice(0, 1_024) }]
      if (parked.length <= parkedMax) state = { ...state, parked }
      else log.warn('a persistent subscription has parked all it can', { group: state.group })
    },
    unpark(count) {
      state = { ...state, parked: state.parked.slice(count) }
    },
    keep,
    async close() {
      keep(true)
      closed = true
      await keeping
    },
  }
}
