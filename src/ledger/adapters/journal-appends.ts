import { EvidenceError } from '../../contracts/errors.js'
import type { PayloadEraser } from '../erasure.js'
import type {
  AppendRequest,
  EventDraft,
  EventStore,
  Receipt,
  RecordedEvent,
} from '../event-store.js'
import { checkRawLeaf, type RawLeafWriter } from '../raw-leaf.js'
import type { CommitQueue } from './commit-queue.js'
import {
  checkRequests,
  createRequestTaker,
  type PreparedEvent,
  type PreparedRequest,
  type PreparedTarget,
  type SettledParts,
} from './draft-check.js'
import type { JournalIndex } from './journal-index.js'
import { nameKey } from './recent-events.js'
import type { PatchedFiles } from './patched-files.js'
import { createPayloadEraser } from './payload-eraser.js'
import type { Segment } from './segments.js'

/** An event that stands on a cluster and is sequenced here: what it is, and what was settled when it was appended there. */
export interface SettledEvent extends EventDraft {
  readonly project: string
  readonly stream: string
  readonly settled: SettledParts
}

/** Sequences events in exactly this order, all or none; the bytes belong to the log from here on. */
export interface SettledAppends {
  appendSettled(events: readonly SettledEvent[]): Promise<readonly Receipt[]>
}

/** The writing half of the embedded ledger: checks what comes and hands it to the queue. */
export interface JournalAppends
  extends
    Pick<EventStore, 'append' | 'appendTogether'>,
    SettledAppends,
    RawLeafWriter,
    PayloadEraser {
  /** Resolves when no erasure is under way. */
  readonly settled: () => Promise<void>
}

export function createJournalAppends(options: {
  readonly folder: string
  readonly interoperability: boolean
  readonly queue: CommitQueue
  readonly patched: PatchedFiles
  readonly index: JournalIndex
  readonly segments: readonly Segment[]
  readonly readEvent: (position: number) => Promise<RecordedEvent>
  readonly onReadOnly: (reason: EvidenceError) => void
}): JournalAppends {
  const { queue } = options
  const takeRequests = createRequestTaker()
  // Not async: one more promise for every append would be felt.
  const append = (requests: readonly AppendRequest[]): Promise<readonly Receipt[]> => {
    try {
      checkRequests(requests)
      if (queue.sealed !== null) throw queue.sealed
      return queue.append(takeRequests(requests))
    } catch (error) {
      return Promise.reject(error)
    }
  }
  const eraser = createPayloadEraser({
    ...options,
    append: (request) => append([request]),
    sealed: () => queue.sealed,
    onFailure: options.onReadOnly,
  })
  return {
    append: (request) => append([request]),
    async appendTogether(requests) {
      const receipts = await append(requests)
      let from = 0
      return requests.map(({ events }) => receipts.slice(from, (from += events.length)))
    },
    async appendSettled(events) {
      if (queue.sealed !== null) throw queue.sealed
      return queue.append(settledRequest(events))
    },
    async addRaw(leaf) {
      if (!options.interoperability)
        throw new EvidenceError('NOT_FOUND', 'this ledger was created without interoperability')
      checkRawLeaf(leaf)
      // Copied, so that the caller may reuse its buffer.
      return queue.appendRaw(Uint8Array.from(leaf))
    },
    erase: (request) => eraser.erase(request),
    settled: () => eraser.end(),
  }
}

/** What stands on the cluster is there: no revision is expected of it, and it may use the disk reserve. */
function settledRequest(events: readonly SettledEvent[]): PreparedRequest {
  const targets = new Map<string, PreparedTarget>()
  const prepared: PreparedEvent[] = []
  let bytes = 0
  for (const event of events) {
    const { project, stream, type, data, metadata } = event
    const streamKey = nameKey(project, stream)
    targets.set(streamKey, { project, stream, streamKey, expected: 'any' })
    prepared.push({ ...event, streamKey, typeKey: nameKey(project, type) })
    bytes += data.length + metadata.length
  }
  return { targets: [...targets.values()], events: prepared, fromReserve: true, bytes }
}
