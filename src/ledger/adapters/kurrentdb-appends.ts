import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import type { AppendRequest, EventReader, Receipt } from '../event-store.js'
import { checkMetadataRequest } from '../stream-metadata.js'
import type { DataKeyFile, NewDataKeys } from './data-key-file.js'
import { checkRequests, createRequestTaker, type PreparedRequest } from './draft-check.js'
import type { ClusterAnswer, ClusterConnection, ClusterDraft } from './kurrentdb-connection.js'
import { unreachable } from './kurrentdb-connection.js'
import type { Envelopes } from './kurrentdb-envelope.js'
import { clusterStreamOf } from './kurrentdb-names.js'
import type { Sequencer } from './kurrentdb-sequencer.js'
import { nameKey } from './recent-events.js'
import { conflict, repeat, takenOnDisk } from './sequencer.js'

/** Events on their way to the cluster and back, at most; beyond them callers are told LEDGER_BUSY. */
export const pendingEventsMax = 8_192
const busyRetryMs = 1_000
const appendTriesMax = 3
const retryPauseMs = 200
/** How long the sequencer may take to the end of what stands on the cluster. */
const catchUpMs = 15_000

export interface ClusterAppendParts {
  readonly connection: Pick<ClusterConnection, 'append' | 'head'>
  readonly envelopes: Envelopes
  readonly keys: DataKeyFile
  /** The sequenced log. */
  readonly log: Pick<EventReader, 'find'>
  readonly sequencer: () => Pick<Sequencer, 'reach'>
  /** Why nothing new is taken, or null. */
  readonly refusal: (request: PreparedRequest) => EvidenceError | null
  /** How long an append waits for its place on the ledger; 0 = receipts are answered without. */
  readonly sequencedWithinMs: number
}

/** The writing half of a ledger whose events stand on a cluster. */
export interface ClusterAppends {
  append(request: AppendRequest): Promise<readonly Receipt[]>
  onSequenced(key: number, receipt: Receipt | null): void
  /** Nothing will be sequenced any more. */
  end(reason: EvidenceError): void
  /** Resolves when no append is on its way that such a reader must see. */
  idQuiet(id: string): Promise<void>
  streamQuiet(project: string, stream: string): Promise<void>
}

interface Awaited {
  readonly resolve: (receipt: Receipt | null) => void
  readonly reject: (error: EvidenceError) => void
}

/**
 * An append is a question to the cluster, which judges the expected revision, and an answer of the sequencer, which
 * knows the ids. Appends that share an id wait for one another.
 */
export function createClusterAppends(parts: ClusterAppendParts): ClusterAppends {
  const takeRequests = createRequestTaker()
  const underWay = new Map<string, Promise<unknown>>()
  const streams = new Map<string, Set<Promise<unknown>>>()
  const turns = new Map<string, Promise<void>>()
  const awaited = new Map<number, Awaited>()
  /** Ids of which nobody knows whether they reached the cluster. */
  const uncertain = new Set<string>()
  let pendingEvents = 0
  let ended: EvidenceError | null = null

  const sequencedOf = ({ slot }: NewDataKeys): Promise<Receipt | null> =>
    new Promise((resolve, reject) => {
      if (ended === null) awaited.set(slot, { resolve, reject })
      else reject(ended)
    })

  /** What stands on the ledger under the ids: the first receipts, an error, or undefined when they are new. */
  const knownReceipts = async (request: PreparedRequest) => {
    const found = await Promise.all(request.events.map(({ id }) => parts.log.find(id)))
    if (found.every((event) => event === undefined)) return undefined
    const outcome = repeat(
      request,
      found.map((event) => (event === undefined ? undefined : takenOnDisk(event))),
    )
    if ('error' in outcome) throw outcome.error
    return outcome.receipts
  }

  const catchUp = async () => {
    const head = await parts.connection.head()
    if (head !== undefined) await within(parts.sequencer().reach(head), catchUpMs)
  }

  const run = async (request: PreparedRequest, sent: () => void): Promise<readonly Receipt[]> => {
    const ids = request.events.map(({ id }) => id)
    if (ids.some((id) => uncertain.has(id))) await catchUp()
    const known = await knownReceipts(request)
    if (known !== undefined) return known
    const refusal = ended ?? parts.refusal(request)
    if (refusal !== null) throw refusal
    const keys = await parts.keys.add(ids)
    const drafts = request.events.flatMap((event, i) => {
      const own = keys[i]
      return own === undefined ? [] : [parts.envelopes.seal(event, event, own)]
    })
    const places = Promise.all(keys.map(sequencedOf))
    // It is waited for below, or not at all.
    places.catch(() => undefined)
    try {
      return await send(request, drafts, { places, sent })
    } finally {
      for (const { slot } of keys) awaited.delete(slot)
    }
  }

  const send = async (
    request: PreparedRequest,
    drafts: readonly ClusterDraft[],
    {
      places,
      sent,
    }: { readonly places: Promise<readonly (Receipt | null)[]>; readonly sent: () => void },
  ): Promise<readonly Receipt[]> => {
    const [target] = request.targets
    if (target === undefined) throw new RangeError('a request names a stream')
    const answer = await insist(parts.connection, clusterStreamOf(target), target.expected, drafts)
    sent()
    switch (answer.kind) {
      case 'appended':
        return parts.sequencedWithinMs === 0
          ? pendingReceipts(request, answer.lastRevision)
          : sequenced(request, places)
      case 'conflict': {
        // What stood in the way may be an earlier try of ours, and the caller will read what it is.
        await catchUp()
        const known = await knownReceipts(request)
        if (known !== undefined) return known
        throw conflict(target, answer.actual === null ? 0 : answer.actual + 1)
      }
      case 'refused':
        throw answer.error
      case 'unknown':
        for (const { id } of drafts) uncertain.add(id)
        throw unreachable(answer.cause)
    }
  }

  const sequenced = async (
    request: PreparedRequest,
    places: Promise<readonly (Receipt | null)[]>,
  ): Promise<readonly Receipt[]> => {
    const receipts = await within(places, parts.sequencedWithinMs)
    const whole = receipts.filter((receipt) => receipt !== null)
    if (whole.length === receipts.length) return whole
    const known = await knownReceipts(request)
    if (known === undefined) throw new RangeError('an id was refused that is not on the ledger')
    return known
  }

  /** Appends to one stream go to the cluster in the order in which they were asked for. */
  const takeTurn = (streamKey: string) => {
    const before = turns.get(streamKey)
    let sent = () => {}
    const turn = new Promise<void>((resolve) => {
      sent = () => {
        if (turns.get(streamKey) === turn) turns.delete(streamKey)
        resolve()
      }
    })
    turns.set(streamKey, turn)
    return { before, sent }
  }

  const othersOf = async ({ events }: PreparedRequest) => {
    for (;;) {
      const other = events.map(({ id }) => underWay.get(id)).find((one) => one !== undefined)
      if (other === undefined) return
      await other.catch(() => undefined)
    }
  }

  return {
    async append(request) {
      checkRequests([request])
      checkMetadataRequest(request)
      const taken = takeRequests([request])
      const count = taken.events.length
      if (ended !== null) throw ended
      if (pendingEvents + count > pendingEventsMax)
        throw new EvidenceError('LEDGER_BUSY', `${pendingEvents} events wait for the cluster`, {
          details: { retryAfterMs: busyRetryMs },
        })
      pendingEvents += count
      const streamKey = taken.targets[0]?.streamKey ?? ''
      const { before, sent } = takeTurn(streamKey)
      try {
        await before
        await othersOf(taken)
        const running = run(taken, sent)
        const ofStream = streams.get(streamKey) ?? new Set()
        streams.set(streamKey, ofStream.add(running))
        for (const { id } of taken.events) underWay.set(id, running)
        try {
          return await running
        } finally {
          for (const { id } of taken.events) underWay.delete(id)
          ofStream.delete(running)
          if (ofStream.size === 0) streams.delete(streamKey)
        }
      } finally {
        sent()
        pendingEvents -= count
      }
    },
    onSequenced(key, receipt) {
      awaited.get(key)?.resolve(receipt)
      if (receipt !== null) uncertain.delete(receipt.id)
    },
    end(reason) {
      ended = reason
      for (const { reject } of awaited.values()) reject(reason)
      awaited.clear()
    },
    async idQuiet(id) {
      await underWay.get(id)?.catch(() => undefined)
    },
    async streamQuiet(project, stream) {
      const running = streams.get(nameKey(project, stream))
      if (running !== undefined) await Promise.allSettled(running)
    },
  }
}

/** Asks again, with the very same bytes, when the connection is lost. */
async function insist(
  connection: Pick<ClusterConnection, 'append'>,
  stream: string,
  expected: AppendRequest['expected'],
  drafts: readonly ClusterDraft[],
): Promise<ClusterAnswer> {
  for (let tries = 1; ; tries += 1) {
    const answer = await connection.append(stream, expected, drafts)
    if (answer.kind !== 'unknown' || tries >= appendTriesMax) return answer
    await pause(retryPauseMs * tries)
  }
}

async function within<Value>(work: Promise<Value>, ms: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new EvidenceError(
            'LEDGER_BUSY',
            'the cluster has the events, but they have no place on the ledger yet: send them again with the same ids',
            { details: { retryAfterMs: busyRetryMs } },
          ),
        ),
      ms,
    )
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Receipts of events that the cluster has and the sequencer has not met yet. */
const pendingReceipts = (request: PreparedRequest, lastRevision: number): readonly Receipt[] =>
  request.events.map(({ id, stream }, i) => {
    const revision = lastRevision - request.events.length + 1 + i
    return {
      id,
      stream,
      revision,
      cursor: `${stream}@${revision}`,
      position: null,
      repeated: false,
      erased: false,
    }
  })
