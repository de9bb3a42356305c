import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import type { Receipt } from '../event-store.js'
import type { DataKeyFile } from './data-key-file.js'
import type { SettledAppends, SettledEvent } from './journal-appends.js'
import type { AllPosition } from '../all-position.js'
import type { ClusterConnection, ClusterEvent } from './kurrentdb-connection.js'
import type { Envelopes } from './kurrentdb-envelope.js'
import { isSystemEvent, sequencerStream } from './kurrentdb-names.js'
import type { PlaceFile } from './kurrentdb-place.js'
import { settle, type Settled } from './kurrentdb-settle.js'

/** Events that were read and are not sequenced yet, at most. */
export const heldEventsMax = 2_048
/** What is made durable in one step. */
const stepEventsMax = 512
const stepBytesTarget = 8 * 1024 * 1024
const backoffMinMs = 100
const backoffMaxMs = 5_000
/** A full disk is waited for so long. */
const diskFullTriesMax = 3_600
const diskFullPauseMs = 1_000
/** After so many events that become no leaf the place is noted anyway. */
const unnotedEventsMax = 1_000

export interface SequencerParts {
  readonly connection: Pick<ClusterConnection, 'follow'>
  readonly envelopes: Envelopes
  readonly keys: DataKeyFile
  readonly place: PlaceFile
  readonly log: SettledAppends & {
    size(): number
    readonly positions: {
      positionOf(id: string): number | undefined | Promise<number | undefined>
    }
  }
  /** Ledger time of the last leaf. */
  readonly lastTimeMs: number
  /** Ledger time from now on; the log asks for it. */
  readonly onTime: (timeMs: number) => void
  /** The claim of this sequencer: the one that follows it in its stream ends it. */
  readonly claim: { readonly origin: string; readonly holder: string; readonly revision: number }
  /** An event of ours, named by its key, has its leaf; null = its id was used, and it counts for nothing. */
  readonly onSequenced: (key: number, receipt: Receipt | null) => void
  /** Nothing is sequenced any more: another one does, or what was read cannot be. */
  readonly onEnd: (reason: EvidenceError) => void
  /** Undefined when the cluster is reached again. */
  readonly onLost: (cause: unknown) => void
}

/** The one that gives the events of a cluster their places, in the order of `$all`. */
export interface Sequencer {
  /** Resolves when everything up to this place is sequenced. @throws EvidenceError when it never will be. */
  reach(position: AllPosition): Promise<void>
  close(): Promise<void>
}

interface Reaching {
  readonly position: AllPosition
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const isAtLeast = (a: AllPosition, b: AllPosition): boolean =>
  a.commit > b.commit || (a.commit === b.commit && a.prepare >= b.prepare)

/**
 * Follows `$all` from where the log ends. The log is made of the events in their order and of nothing else, so two
 * sequencers of one ledger can never sign different trees: what each has signed is a beginning of the same one.
 */
export function startSequencer(parts: SequencerParts): Sequencer {
  const { connection, log, place } = parts
  const ending = new AbortController()
  const { signal } = ending
  let received = place.behind(log.size())
  let reached = received
  let ended: EvidenceError | null = null
  let reaching: Reaching[] = []
  let unnoted = 0
  const held: ClusterEvent[] = []
  let arrived = () => {}
  let taken = () => {}

  const end = (reason: EvidenceError) => {
    if (ended !== null) return
    ended = reason
    ending.abort()
    arrived()
    taken()
    for (const { reject } of reaching) reject(reason)
    reaching = []
    parts.onEnd(reason)
  }

  const receive = async () => {
    let backoffMs = backoffMinMs
    const reachedAgain = () => {
      parts.onLost(undefined)
      backoffMs = backoffMinMs
    }
    while (!signal.aborted) {
      try {
        for await (const event of connection.follow(received, signal, reachedAgain)) {
          received = event.position
          held.push(event)
          arrived()
          if (held.length >= heldEventsMax) await new Promise<void>((done) => (taken = done))
        }
      } catch (error) {
        if (!signal.aborted) parts.onLost(error)
      }
      if (signal.aborted) return
      await pause(backoffMs, undefined, { signal }).catch(() => undefined)
      backoffMs = Math.min(2 * backoffMs, backoffMaxMs)
    }
  }

  const takeStep = (): ClusterEvent[] => {
    let bytes = 0
    let count = 0
    for (const { data } of held) {
      if (count >= stepEventsMax || (count > 0 && bytes + data.length > stepBytesTarget)) break
      bytes += data.length
      count += 1
    }
    const step = held.splice(0, count)
    taken()
    return step
  }

  const goOn = (position: AllPosition) => {
    reached = position
    const there = reaching.filter((one) => isAtLeast(position, one.position))
    reaching = reaching.filter((one) => !isAtLeast(position, one.position))
    for (const { resolve } of there) resolve()
  }

  let { lastTimeMs } = parts
  const sequence = async (step: readonly ClusterEvent[]) => {
    const last = step.at(-1)
    if (last === undefined) return
    const settled = await settleAll(step, parts, lastTimeMs)
    unnoted += step.length - settled.length
    if (settled.length > 0) {
      await place.note(log.size() + settled.length, last.position)
      lastTimeMs = settled.at(-1)?.event.settled.timeMs ?? lastTimeMs
      parts.onTime(lastTimeMs)
      // If we stop here, the next start finds the log as it was, and the place of that.
      const receipts = await appendAll(
        log,
        settled.map(({ event }) => event),
        signal,
      )
      settled.forEach(({ key, isRefused }, i) => {
        if (key !== null) parts.onSequenced(key, isRefused ? null : (receipts[i] ?? null))
      })
      unnoted = 0
    } else if (unnoted >= unnotedEventsMax) {
      await place.note(log.size(), last.position)
      unnoted = 0
    }
    goOn(last.position)
  }

  const work = async () => {
    while (!signal.aborted) {
      if (held.length === 0) await new Promise<void>((done) => (arrived = done))
      const step = takeStep()
      const fence = step.findIndex((event) => isSuccessor(event, parts))
      await sequence(fence === -1 ? step : step.slice(0, fence))
      if (fence !== -1)
        throw new EvidenceError(
          'LEDGER_READ_ONLY',
          'another process sequences this ledger now: this one takes no more events',
        )
    }
  }

  const receiving = receive()
  const working = work().catch((error: unknown) => {
    if (!signal.aborted) end(reasonOf(error))
  })
  return {
    reach(position) {
      if (reached !== undefined && isAtLeast(reached, position)) return Promise.resolve()
      if (ended !== null) return Promise.reject(ended)
      return new Promise((resolve, reject) => reaching.push({ position, resolve, reject }))
    },
    async close() {
      ending.abort()
      arrived()
      taken()
      await Promise.all([receiving, working])
      const closed = new EvidenceError('SERVICE_NOT_RUNNING', 'the ledger is closed')
      for (const { reject } of reaching) reject(closed)
    },
  }
}

/** Whether the event is the word of a sequencer that follows this one. */
function isSuccessor(
  event: ClusterEvent,
  { envelopes, claim: { origin, holder, revision } }: SequencerParts,
): boolean {
  if (event.stream !== sequencerStream || event.revision <= revision) return false
  const claim = envelopes.claimIn(event)
  return claim !== undefined && claim.origin === origin && claim.holder !== holder
}

async function settleAll(
  step: readonly ClusterEvent[],
  { envelopes, keys, log }: SequencerParts,
  before: number,
): Promise<Settled[]> {
  const settled: Settled[] = []
  const inStep = new Map<string, number>()
  let lastTimeMs = before
  const positionOf = async (id: string) => inStep.get(id) ?? log.positions.positionOf(id)
  for (const event of step) {
    if (isSystemEvent(event)) continue
    if (event.stream === sequencerStream && envelopes.claimIn(event) !== undefined) continue
    const one = await settle(event, { envelopes, keys, positionOf, lastTimeMs })
    lastTimeMs = one.event.settled.timeMs
    inStep.set(one.event.id, log.size() + settled.length)
    settled.push(one)
  }
  return settled
}

/** Appends; a full disk is waited for, because what stands on the cluster cannot be refused. */
async function appendAll(
  log: SettledAppends,
  events: readonly SettledEvent[],
  signal: AbortSignal,
): Promise<readonly Receipt[]> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await log.appendSettled(events)
    } catch (error) {
      const isFull = error instanceof EvidenceError && error.code === 'DISK_FULL'
      if (!isFull || tries >= diskFullTriesMax) throw error
      await pause(diskFullPauseMs, undefined, { signal })
    }
  }
}

const reasonOf = (error: unknown): EvidenceError =>
  error instanceof EvidenceError && error.code === 'LEDGER_READ_ONLY'
    ? error
    : new EvidenceError(
        'LEDGER_READ_ONLY',
        `the events of the cluster cannot be sequenced any further: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      )
