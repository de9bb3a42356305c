import { setImmediate as nextTurn } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import type { Receipt } from '../event-store.js'
import type { DiskReserve } from './disk-reserve.js'
import type { PreparedRequest } from './draft-check.js'
import { isDiskFull, isUndoneDiskFull } from './file-port.js'
import {
  type CommitParts,
  commitReady,
  makeReady,
  mayUseReserve,
  type ReadyGroup,
} from './group-commit.js'

/** Bounds of what waits; beyond them callers are told LEDGER_BUSY. */
export const queueEventsMax = 65_536
export const queueBytesMax = 256 * 1024 * 1024
/** When a refused caller may come again: about as long as a full queue takes to reach the disk. */
export const busyRetryMs = 1_000
/** A group takes further requests until it holds this much; one request is never divided. */
export const groupEventsMax = 8_192
export const groupBytesTarget = 8 * 1024 * 1024
/**
 * When so many events wait, a group is made ready while the one before is written. Fewer are better off in
 * one group later: the disk takes about as long for one as for all of them.
 */
export const overlapEventsMin = 128
/** Then a group takes this part of all events under way: some are told, some made ready, some written. */
const overlapShare = 3
/** A record without its payload: leaf and headers, and its share of the group frame. */
const recordOverheadBytesMax = 8_192

interface WaitingRequest {
  readonly request: PreparedRequest
  readonly resolve: (receipts: readonly Receipt[]) => void
  readonly reject: (error: EvidenceError) => void
}

interface WaitingRaw {
  readonly raw: Uint8Array
  readonly resolve: (position: number) => void
  readonly reject: (error: EvidenceError) => void
}

type Waiting = WaitingRequest | WaitingRaw

const leavesOf = (one: Waiting): number => ('raw' in one ? 1 : one.request.events.length)
const bytesOf = (one: Waiting): number => ('raw' in one ? one.raw.length : one.request.bytes)

/**
 * Group commit: everything that waits is sequenced, written with one write and one sync, then
 * answered. Index, tree and clock change only after the sync, so readers never see an event that
 * a crash could take back. Under load the next group is made ready while one is written: it is written
 * only when that one became durable as it was.
 */
export interface CommitQueue {
  append(request: PreparedRequest): Promise<readonly Receipt[]>
  /** The bytes belong to the queue from here on. */
  appendRaw(leaf: Uint8Array): Promise<number>
  /** Takes no more writes; `reason` is answered to everybody who tries. */
  seal(reason: EvidenceError): void
  readonly sealed: EvidenceError | null
  /** Resolves when everything that waited is answered. */
  drain(): Promise<void>
}

export interface CommitOptions extends Omit<CommitParts, 'refusal'> {
  readonly reserve: DiskReserve
  readonly overlapEventsMin: number
  readonly onReadOnly: (reason: EvidenceError) => void
}

/** The group that is being written. */
interface Writing {
  readonly ready: ReadyGroup
  readonly events: number
  /** Resolves with what became durable: `ready`, another one made of the same group, or nothing. */
  readonly ended: Promise<ReadyGroup | null>
}

export function createCommitQueue(options: CommitOptions): CommitQueue {
  const { reserve } = options
  const parts: CommitParts = { ...options, refusal: () => reserve.refusal() }
  let waiting: Waiting[] = []
  let waitingEvents = 0
  let waitingBytes = 0
  let running: Promise<void> | null = null
  let sealed: EvidenceError | null = null
  let enoughWait = () => {}

  const takeGroup = (written: number): Waiting[] => {
    const share = Math.ceil((waitingEvents + written) / overlapShare)
    const eventsMax = Math.min(groupEventsMax, Math.max(share, options.overlapEventsMin))
    let events = 0
    let bytes = 0
    let count = 0
    for (const one of waiting) {
      if (
        count > 0 &&
        (events + leavesOf(one) > eventsMax || bytes + bytesOf(one) > groupBytesTarget)
      )
        break
      events += leavesOf(one)
      bytes += bytesOf(one)
      count += 1
    }
    const group = waiting.slice(0, count)
    waiting = waiting.slice(count)
    waitingEvents -= events
    waitingBytes -= bytes
    return group
  }

  const seal = (reason: EvidenceError) => {
    // Read-only is for good; closing only stops newcomers and lets what waits be written.
    if (sealed === null || reason.code === 'LEDGER_READ_ONLY') sealed = reason
  }

  const fail = (group: readonly Waiting[], error: unknown) => {
    const answer = answerOf(error)
    if (!isUndoneDiskFull(error)) {
      const reason = readOnly(error)
      seal(reason)
      options.onReadOnly(reason)
    }
    for (const { reject } of group) reject(answer)
  }

  /** Gives up some of the reserve for what may use it; false when there is none. */
  const makeRoom = async (group: readonly Waiting[], error: unknown): Promise<boolean> => {
    const bytes = isUndoneDiskFull(error) ? reserveBytesOf(group) : 0
    return bytes > 0 && reserve.release(bytes)
  }

  /** Makes a group ready, after the one that is written; null when that must be seen first, or fails. */
  const readyBeside = (group: readonly Waiting[], before: ReadyGroup | null) =>
    // What fails here fails again in `write`, which answers.
    makeReady(group, before, parts).catch(() => null)

  /** Writes a group and tells its callers; answers what became durable, which need not be `first`. */
  const write = async (group: readonly Waiting[], first: ReadyGroup | null) => {
    if (sealed?.code === 'LEDGER_READ_ONLY') {
      for (const { reject } of group) reject(sealed)
      return null
    }
    for (let ready = first; ; ready = null) {
      try {
        ready ??= await makeReady(group, null, parts)
        if (ready === null) throw new RangeError('a group that waits for none is ready')
        await commitReady(ready, parts)
        // Conflicts and repeats are told now too: they may speak of events of this very group.
        for (const [i, one] of group.entries()) tell(one, ready.outcomes[i])
        return ready
      } catch (error) {
        try {
          // Each round gives up more of the reserve, until there is none.
          if (await makeRoom(group, error)) continue
          fail(group, error)
        } catch (cause) {
          fail(group, cause)
        }
        return null
      }
    }
  }

  const run = async () => {
    let writing: Writing | null = null
    while (waiting.length > 0 || writing !== null) {
      if (writing !== null && waitingEvents < options.overlapEventsMin) {
        if (await endsBeforeEnoughWait(writing)) writing = null
        continue
      }
      // One turn of the loop, so that callers that were just answered can join the next group.
      await nextTurn()
      const group = takeGroup(writing?.events ?? 0)
      let ready: ReadyGroup | null = null
      if (writing !== null) {
        ready = await readyBeside(group, writing.ready)
        if ((await writing.ended) !== writing.ready) ready = null
      }
      ready ??= await readyBeside(group, null)
      const ended = write(group, ready)
      if (ready !== null) writing = { ready, events: eventsOf(group), ended }
      else {
        await ended
        writing = null
      }
    }
    running = null
  }

  const endsBeforeEnoughWait = (writing: Writing): Promise<boolean> =>
    Promise.race([
      writing.ended.then(() => true),
      new Promise<boolean>((resolve) => (enoughWait = () => resolve(false))),
    ])

  const take = (one: Waiting) => {
    const isFull =
      waitingEvents + leavesOf(one) > queueEventsMax || waitingBytes + bytesOf(one) > queueBytesMax
    if (sealed !== null || isFull) {
      one.reject(
        sealed ??
          new EvidenceError('LEDGER_BUSY', `${waitingEvents} events wait for the disk`, {
            details: { retryAfterMs: busyRetryMs, waitingEvents, waitingBytes },
          }),
      )
      return
    }
    waiting.push(one)
    waitingEvents += leavesOf(one)
    waitingBytes += bytesOf(one)
    if (waitingEvents >= options.overlapEventsMin) {
      enoughWait()
      enoughWait = () => {}
    }
    running ??= run()
  }

  return {
    get sealed() {
      return sealed
    },
    append: (request) =>
      new Promise((resolve, reject) => {
        take({ request, resolve, reject })
      }),
    appendRaw: (raw) =>
      new Promise((resolve, reject) => {
        take({ raw, resolve, reject })
      }),
    seal,
    async drain() {
      await running
    },
  }
}

const eventsOf = (group: readonly Waiting[]): number =>
  group.reduce((sum, one) => sum + leavesOf(one), 0)

/** Bytes on disk of what may use the reserve; 0 when there is nothing. */
const reserveBytesOf = (group: readonly Waiting[]): number =>
  group.reduce(
    (sum, one) =>
      mayUseReserve(one) ? sum + bytesOf(one) + leavesOf(one) * recordOverheadBytesMax : sum,
    0,
  )

function tell(one: Waiting, outcome: ReadyGroup['outcomes'][number] | undefined): void {
  if (typeof outcome === 'number') {
    if ('raw' in one) one.resolve(outcome)
  } else if (outcome !== undefined && 'error' in outcome) one.reject(outcome.error)
  else if (outcome !== undefined && 'request' in one) one.resolve(outcome.receipts)
}

const readOnly = (cause: unknown) =>
  new EvidenceError(
    'LEDGER_READ_ONLY',
    'a write to the journal failed: the ledger takes no more events until it is started again',
    { cause },
  )

function answerOf(cause: unknown): EvidenceError {
  if (isDiskFull(cause))
    return new EvidenceError('DISK_FULL', 'the disk of the journal is full', { cause })
  if (cause instanceof EvidenceError) return cause
  return new EvidenceError(
    'LEDGER_READ_ONLY',
    'the events could not be made durable; after the next start, send them again with the same ids',
    { cause },
  )
}
