import { setImmediate as nextTurn } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import type { Receipt, RecordedEvent } from '../event-store.js'
import type { PreparedRequest } from './draft-check.js'
import { isDiskFull, isUndoneDiskFull } from './file-port.js'
import type { JournalIndex } from './journal-index.js'
import type { JournalWriter } from './journal-writer.js'
import type { LedgerClock } from './ledger-clock.js'
import {
  createGroupSequencer,
  type GroupSequencer,
  type Outcome,
  type SequencedEvent,
} from './sequencer.js'
import type { TreeHashes } from './tree-hashes.js'

/** Bounds of what waits; beyond them callers are told LEDGER_BUSY. */
export const queueEventsMax = 65_536
export const queueBytesMax = 256 * 1024 * 1024
/** When a refused caller may come again: about as long as a full queue takes to reach the disk. */
export const busyRetryMs = 1_000
/** A group takes further requests until it holds this much; one request is never divided. */
export const groupEventsMax = 8_192
export const groupBytesTarget = 8 * 1024 * 1024

interface Waiting {
  readonly request: PreparedRequest
  readonly resolve: (receipts: readonly Receipt[]) => void
  readonly reject: (error: EvidenceError) => void
}

/**
 * Group commit: everything that waits is sequenced, written with one write and one sync, then
 * answered. Index, tree and clock change only after the sync, so readers never see an event that
 * a crash could take back.
 */
export interface CommitQueue {
  append(request: PreparedRequest): Promise<readonly Receipt[]>
  /** Takes no more writes; `reason` is answered to everybody who tries. */
  seal(reason: EvidenceError): void
  readonly sealed: EvidenceError | null
  /** Resolves when everything that waited is answered. */
  drain(): Promise<void>
}

export interface CommitOptions {
  readonly index: JournalIndex
  readonly tree: TreeHashes
  readonly clock: LedgerClock
  readonly writer: JournalWriter
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
    for (const { request } of waiting) {
      if (
        count > 0 &&
        (events + request.events.length > groupEventsMax ||
          bytes + request.bytes > groupBytesTarget)
      )
        break
      events += request.events.length
      bytes += request.bytes
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

  return {
    get sealed() {
      return sealed
    },
    append(request) {
      if (sealed !== null) return Promise.reject(sealed)
      if (
        waitingEvents + request.events.length > queueEventsMax ||
        waitingBytes + request.bytes > queueBytesMax
      ) {
        return Promise.reject(
          new EvidenceError('LEDGER_BUSY', `${waitingEvents} events wait for the disk`, {
            details: { retryAfterMs: busyRetryMs, waitingEvents, waitingBytes },
          }),
        )
      }
      return new Promise((resolve, reject) => {
        waiting.push({ request, resolve, reject })
        waitingEvents += request.events.length
        waitingBytes += request.bytes
        running ??= run()
      })
    },
    seal,
    async drain() {
      await running
    },
  }
}

async function commitGroup(group: readonly Waiting[], options: CommitOptions): Promise<void> {
  const { index, tree, clock, writer } = options
  const stored = await readStored(group, options)
  const reading = clock.read()
  const sequencer = createGroupSequencer(index, tree, reading.timeMs, stored)
  const outcomes = group.map(({ request }) => sequencer.sequence(request))
  if (sequencer.events.length > 0) {
    if (reading.event !== null) sequencer.sequence(reading.event)
    await commitEvents(sequencer, writer, index, tree)
    reading.commit()
    options.onCommit()
  }
  // Conflicts and repeats are answered here too: they may speak of events of this very group.
  group.forEach((waiting, i) => {
    settle(waiting, outcomes[i])
  })
}

async function commitEvents(
  sequencer: GroupSequencer,
  writer: JournalWriter,
  index: JournalIndex,
  tree: TreeHashes,
) {
  const places = await writer.write(sequencer.events)
  sequencer.events.forEach(({ leaf, leafHash }: SequencedEvent, i) => {
    const place = places[i]
    if (place === undefined) throw new RangeError('a record was written without a place')
    tree.append(leafHash)
    index.add({
      ...place,
      id: leaf.id,
      project: leaf.project,
      stream: leaf.stream,
      type: leaf.type,
    })
  })
}

function settle({ resolve, reject }: Waiting, outcome: Outcome | undefined) {
  if (outcome === undefined) throw new RangeError('a request has no outcome')
  if ('error' in outcome) reject(outcome.error)
  else resolve(outcome.receipts)
}

/** The durable events whose ids this group uses again: their bytes are needed to compare. */
async function readStored(group: readonly Waiting[], { index, readEvent }: CommitOptions) {
  const stored = new Map<string, RecordedEvent>()
  for (const { request } of group) {
    for (const { draft } of request.events) {
      const position = index.positionOf(draft.id)
      if (position !== undefined && !stored.has(draft.id))
        stored.set(draft.id, await readEvent(position))
    }
  }
  return stored
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
