import { setImmediate as nextTurn } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import type { Receipt, RecordedEvent } from '../event-store.js'
import type { DiskReserve } from './disk-reserve.js'
import type { PreparedRequest } from './draft-check.js'
import { isDiskFull, isUndoneDiskFull } from './file-port.js'
import type { Soon } from './index-runs.js'
import type { IndexStore } from './index-store.js'
import type { StreamHead } from './journal-index.js'
import type { JournalWriter } from './journal-writer.js'
import type { LedgerClock } from './ledger-clock.js'
import { nameKey } from './recent-events.js'
import { createGroupSequencer, type GroupSequencer, type Known } from './sequencer.js'

/** Bounds of what waits; beyond them callers are told LEDGER_BUSY. */
export const queueEventsMax = 65_536
export const queueBytesMax = 256 * 1024 * 1024
/** When a refused caller may come again: about as long as a full queue takes to reach the disk. */
export const busyRetryMs = 1_000
/** A group takes further requests until it holds this much; one request is never divided. */
export const groupEventsMax = 8_192
export const groupBytesTarget = 8 * 1024 * 1024
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
 * a crash could take back.
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

export interface CommitOptions {
  readonly store: IndexStore
  readonly clock: LedgerClock
  readonly writer: JournalWriter
  readonly reserve: DiskReserve
  readonly readEvent: (position: number) => Promise<RecordedEvent>
  /** Called after each group that added events, once readers can see them. */
  readonly onCommit: () => void
  readonly onReadOnly: (reason: EvidenceError) => void
}

export function createCommitQueue(options: CommitOptions): CommitQueue {
  let waiting: Waiting[] = []
  let waitingEvents = 0
  let waitingBytes = 0
  let running: Promise<void> | null = null
  let sealed: EvidenceError | null = null

  const takeGroup = (): Waiting[] => {
    let events = 0
    let bytes = 0
    let count = 0
    for (const one of waiting) {
      if (
        count > 0 &&
        (events + leavesOf(one) > groupEventsMax || bytes + bytesOf(one) > groupBytesTarget)
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

  const run = async () => {
    while (waiting.length > 0) {
      // One turn of the loop, so that callers that were just answered can join the next group.
      await nextTurn()
      const group = takeGroup()
      if (sealed?.code === 'LEDGER_READ_ONLY') {
        for (const { reject } of group) reject(sealed)
        continue
      }
      try {
        await commitGroup(group, options)
      } catch (error) {
        const answer = answerOf(error)
        if (!isUndoneDiskFull(error)) {
          const reason = readOnly(error)
          seal(reason)
          options.onReadOnly(reason)
        }
        for (const { reject } of group) reject(answer)
      }
    }
    running = null
  }

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

/** Commits a group; when the disk is full, that part of it which may use the reserve. */
async function commitGroup(group: readonly Waiting[], options: CommitOptions): Promise<void> {
  for (;;) {
    try {
      await commitOnce(group, options)
      return
    } catch (error) {
      const bytes = reserveBytesOf(group)
      if (bytes === 0 || !isUndoneDiskFull(error)) throw error
      // Each round gives up more of the reserve, until there is none.
      if (!(await options.reserve.release(bytes))) throw error
    }
  }
}

/** Bytes on disk of what may use the reserve; 0 when there is nothing. */
const reserveBytesOf = (group: readonly Waiting[]): number =>
  group.reduce(
    (sum, one) =>
      mayUseReserve(one) ? sum + bytesOf(one) + leavesOf(one) * recordOverheadBytesMax : sum,
    0,
  )

const mayUseReserve = (one: Waiting): boolean => 'request' in one && one.request.fromReserve

async function commitOnce(group: readonly Waiting[], options: CommitOptions): Promise<void> {
  const { store, clock } = options
  const room = store.room()
  if (room !== undefined) await room
  const reading = clock.read()
  const requests = group.flatMap((one) => ('raw' in one ? [] : [one.request]))
  const known = await recall(
    reading.event === null ? requests : [...requests, reading.event],
    options,
  )
  const sequencer = createGroupSequencer(known, reading.timeMs)
  const refusal = options.reserve.refusal()
  const answers = group.map((one) => answerTo(one, sequencer, refusal))
  if (sequencer.leaves.length > 0) {
    if (reading.event !== null) sequencer.sequence(reading.event)
    await commitLeaves(sequencer, options)
    reading.commit()
    const at = { lastTimeMs: reading.timeMs, clockAlarm: clock.alarm !== null }
    store.endGroup(() => options.writer.mark(at))
    options.onCommit()
  }
  // Conflicts and repeats are answered here too: they may speak of events of this very group.
  for (const give of answers) give()
}

/** Gives the leaves of one caller their places; answers how that caller is told once they are durable. */
function answerTo(
  one: Waiting,
  sequencer: GroupSequencer,
  refusal: EvidenceError | null,
): () => void {
  if ('raw' in one) {
    if (refusal !== null) return () => one.reject(refusal)
    const position = sequencer.placeRaw(one.raw)
    return () => one.resolve(position)
  }
  const outcome = sequencer.sequence(one.request, mayUseReserve(one) ? null : refusal)
  return 'error' in outcome ? () => one.reject(outcome.error) : () => one.resolve(outcome.receipts)
}

async function commitLeaves({ leaves }: GroupSequencer, { writer, store }: CommitOptions) {
  const places = await writer.write(leaves)
  leaves.forEach((sequenced, i) => {
    const place = places[i]
    if (place === undefined) throw new RangeError('a record was written without a place')
    store.tree.append(sequenced.leafHash)
    if (!('leaf' in sequenced)) {
      store.index.addRaw(place)
      return
    }
    const { leaf, leafHash, revision, typeSeq } = sequenced
    const { id, project, stream, type } = leaf
    store.index.add(place, { id, project, stream, revision, type, typeSeq }, leafHash)
  })
}

/** Gathers what sequencing must know; waits only for what the index must read from the disk. */
async function recall(
  requests: readonly PreparedRequest[],
  { store, readEvent }: CommitOptions,
): Promise<Known> {
  const { index } = store
  const stored = new Map<string, RecordedEvent>()
  const heads = new Map<string, StreamHead>()
  const typeSizes = new Map<string, number>()
  const waits: Promise<unknown>[] = []
  const put = <Value>(into: Map<string, Value>, key: string, value: Soon<Value>) => {
    if (value instanceof Promise) waits.push(value.then((read) => into.set(key, read)))
    else into.set(key, value)
  }
  const readAgain = async (id: string, position: Soon<number | undefined>) => {
    const at = await position
    if (at !== undefined) stored.set(id, await readEvent(at))
  }
  for (const { streams, events } of requests) {
    for (const { project, stream } of streams) {
      const key = nameKey(project, stream)
      if (!heads.has(key)) put(heads, key, index.headOf(project, stream))
    }
    for (const { draft, project } of events) {
      const typeKey = nameKey(project, draft.type)
      if (!typeSizes.has(typeKey)) put(typeSizes, typeKey, index.typeSize(project, draft.type))
      const position = index.positionOf(draft.id)
      if (position !== undefined) waits.push(readAgain(draft.id, position))
    }
  }
  if (waits.length > 0) await Promise.all(waits)
  return { size: index.size, stored, heads, typeSizes }
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
