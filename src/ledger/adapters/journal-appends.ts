import { EvidenceError } from '../../contracts/errors.js'
import type { PayloadEraser } from '../erasure.js'
import type { AppendRequest, EventStore, Receipt, RecordedEvent } from '../event-store.js'
import { checkRawLeaf, type RawLeafWriter } from '../raw-leaf.js'
import type { CommitQueue } from './commit-queue.js'
import { checkRequests, createRequestTaker } from './draft-check.js'
import type { JournalIndex } from './journal-index.js'
import type { PatchedFiles } from './patched-files.js'
import { createPayloadEraser } from './payload-eraser.js'
import type { Segment } from './segments.js'

/** The writing half of the embedded ledger: checks what comes and hands it to the queue. */
export interface JournalAppends
  extends Pick<EventStore, 'append' | 'appendTogether'>, RawLeafWriter, PayloadEraser {
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
