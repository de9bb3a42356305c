import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import { Empty, Standing as StandingMessage } from '../../contracts/ledger-messages.js'
import type { LedgerAlarm } from '../../contracts/ledger.js'
import type { PublishedCheckpoint, StoreCapabilities } from '../event-store.js'
import { checkpointOf, errorNoticed, numberOf } from '../ledger-wire.js'
import type { LedgerKey } from '../signing-keys.js'
import { backoffMinMs, growing, type RemoteCalls } from './remote-calls.js'

/** How a ledger in another process stands, as it was told last. */
export interface Standing {
  readonly origin: string
  readonly keys: readonly LedgerKey[]
  readonly checkpoint: PublishedCheckpoint
  readonly capabilities: StoreCapabilities
  readonly alarms: readonly Pick<LedgerAlarm, 'alarm' | 'message'>[]
  readonly readOnly: EvidenceError | null
  readonly lacksSpace: EvidenceError | null
}

export interface FollowedStanding {
  present(): Standing
  /** Leaves that are known to be there: those that were told of, or seen. */
  size(): number
  /** Takes note of a leaf that was seen before it was told of. */
  saw(size: number): void
  /** Why the ledger must not be used now, or null: it does not answer, or it is another one than it was. */
  trouble(): EvidenceError | null
  close(): Promise<void>
}

type Told = ReturnType<typeof StandingMessage.decode>

const standingOf = (told: Told): Standing => ({
  origin: told.origin ?? '',
  keys: (told.keys ?? []).map(({ vkey = '', signingFrom }) => ({
    vkey,
    signingFrom: numberOf(signingFrom),
  })),
  checkpoint: checkpointOf(told.checkpoint ?? {}),
  capabilities: {
    sequencedOnAppend: told.sequencedOnAppend === true,
    multiStreamAtomic: told.multiStreamAtomic === true,
  },
  // The names of alarms are those of the ledger.
  alarms: (told.alarms ?? []).map(({ code, message = '' }) => ({
    alarm: code as LedgerAlarm['alarm'],
    message,
  })),
  readOnly: errorNoticed(told.readOnly),
  lacksSpace: errorNoticed(told.lacksSpace),
})

/**
 * Follows how the ledger stands, for as long as it is not closed; resolves when it was told for the first time.
 * `onTrouble` hears whenever the ledger is lost, refuses, or is there again (null).
 */
export async function followStanding(
  calls: RemoteCalls,
  {
    signal,
    onTrouble,
  }: {
    /** Ends the waiting for the first word. */
    readonly signal: AbortSignal
    readonly onTrouble: (trouble: EvidenceError | null) => void
  },
): Promise<FollowedStanding> {
  const closing = new AbortController()
  let standing: Standing | undefined
  let size = 0
  let toldSize = 0
  let trouble: EvidenceError | null = null
  let changed: EvidenceError | null = null
  let isReady = () => {}
  const ready = new Promise<void>((done) => (isReady = done))
  const becomes = (next: EvidenceError | null) => {
    if (trouble?.message !== next?.message) onTrouble(next)
    trouble = next
  }
  const hear = (told: Told) => {
    const next = standingOf(told)
    changed ??= changeOf(standing, toldSize, { origin: next.origin, size: numberOf(told.size) })
    becomes(changed)
    if (changed !== null) return
    standing = next
    toldSize = numberOf(told.size)
    size = Math.max(size, toldSize)
    isReady()
  }

  const follow = async () => {
    let backoffMs = backoffMinMs
    while (!closing.signal.aborted) {
      try {
        for await (const told of calls.stream(
          'Follow',
          [Empty, StandingMessage],
          {},
          closing.signal,
        )) {
          backoffMs = backoffMinMs
          hear(told)
        }
      } catch (error) {
        if (!closing.signal.aborted)
          becomes(
            error instanceof EvidenceError
              ? error
              : new EvidenceError('LEDGER_UNREACHABLE', String(error), { cause: error }),
          )
      }
      await pause(backoffMs, undefined, { signal: closing.signal }).catch(() => undefined)
      backoffMs = growing(backoffMs)
    }
  }
  const following = follow()
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    if (signal.aborted) reject(signal.reason)
  })
  try {
    await Promise.race([ready, stopped])
  } catch (error) {
    closing.abort()
    await following
    throw error
  }
  return {
    present() {
      if (standing === undefined) throw new TypeError('the ledger was not heard of yet')
      return standing
    },
    size: () => size,
    saw(seen) {
      size = Math.max(size, seen)
    },
    trouble: () => trouble,
    async close() {
      closing.abort()
      await following
    },
  }
}

/** What was folded of a ledger is true of no other one, and of none that lost what it had. */
function changeOf(
  before: Standing | undefined,
  sizeBefore: number,
  now: { readonly origin: string; readonly size: number },
): EvidenceError | null {
  if (before === undefined) return null
  if (before.origin !== now.origin)
    return new EvidenceError(
      'ROLLBACK_DETECTED',
      `the ledger was ${before.origin} and is ${now.origin}: start this process again`,
    )
  if (now.size < sizeBefore)
    return new EvidenceError(
      'ROLLBACK_DETECTED',
      `the ledger had ${sizeBefore} events and has ${now.size}: start this process again`,
    )
  return null
}
