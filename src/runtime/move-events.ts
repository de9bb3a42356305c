import { v5 } from 'uuid'
import { EvidenceError } from '../contracts/errors.js'
import { streamMetadataType } from '../contracts/stream-metadata.js'
import type { AllPosition } from '../ledger/all-position.js'
import type { MovableStore, MoveRun } from '../ledger/movable-store.js'
import {
  createTally,
  eventBefore,
  type MovedEvent,
  movedMetadata,
  type MoveTally,
} from '../ledger/moved-event.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { describedStream, isMetadataStream } from '../ledger/stream-name.js'

const runEventsMax = 500
const runBytesMax = 1024 * 1024
/** Runs that were sent and not yet answered. */
const inFlightMax = 64

/** The type of the event with which such a store ends a stream for good. */
const tombstoneType = '$streamDeleted'

/** How events are moved from one store to another. */
export interface Move {
  readonly source: MovableStore
  readonly target: MovableStore
  /** The name of the move: part of the metadata of each event at its new place. */
  readonly name: string
  /** Put before the name of every stream there. */
  readonly prefix: string
  /**
   * `ids` when ids are unique at the target, so that a repeated append is seen by them alone; `revisions` when each stream
   * begins there with the move, at the revisions it has at the source.
   */
  readonly repeatedBy: 'ids' | 'revisions'
  readonly signal: AbortSignal
}

export interface MoveProgress {
  readonly done: AllPosition
  readonly end: AllPosition
}

export interface MoveCounts {
  /** Events that were sent; those that were there already are among them. */
  moved: number
  /** The store's own events (`$…`), which belong to it and stay. */
  left: number
  /** Streams that were ended for good. */
  ended: number
  /** Events that got another id, because an earlier one of another stream has theirs. */
  renamed: number
}

/** What becomes of an event of the source. */
type Fate =
  | { readonly kind: 'move'; readonly stream: string }
  | { readonly kind: 'end'; readonly stream: string }
  | { readonly kind: 'leave' }

function fateOf({ stream, type, data }: MovedEvent, prefix: string): Fate {
  const described = describedStream(stream)
  if (described.startsWith('$')) return { kind: 'leave' }
  if (type === tombstoneType) return { kind: 'end', stream: prefix + described }
  if (!isMetadataStream(stream)) return { kind: 'move', stream: prefix + stream }
  if (type !== streamMetadataType) return { kind: 'leave' }
  if (saysTombstoned(data)) return { kind: 'end', stream: prefix + described }
  return { kind: 'move', stream: `$$${prefix}${described}` }
}

/** Whether metadata of a stream ends it, as our own ledger says it. */
function saysTombstoned(data: Uint8Array): boolean {
  try {
    const metadata: unknown = JSON.parse(Buffer.from(data).toString())
    return (
      typeof metadata === 'object' &&
      metadata !== null &&
      '$tombstoned' in metadata &&
      metadata.$tombstoned === true
    )
  } catch {
    return false
  }
}

const renamedNamespace = 'b2f4f0d3-0a52-5a0e-9d27-5c0b1f2c9a51'

/** The id of an event whose own was taken: the same whenever the move is repeated. */
const renamedId = (name: string, { id, stream, revision }: MovedEvent): string =>
  v5(JSON.stringify([name, stream, String(revision), id]), renamedNamespace)

interface Run {
  readonly stream: string
  readonly events: MovedEvent[]
  bytes: number
}

const expectedBefore = (revision: bigint): bigint | 'none' =>
  revision === 0n ? 'none' : revision - 1n

/**
 * Moves every event behind `after` that the source has at the call, in the order of its log. `saved` is told each place before
 * which everything is durable at the target. Repeating it from an earlier place appends nothing twice.
 *
 * @throws EvidenceError naming the event that the target refuses; EVENT_STORE_UNREACHABLE.
 */
export async function moveEvents(
  move: Move,
  after: AllPosition | undefined,
  report: {
    readonly progress: (progress: MoveProgress) => void
    readonly saved: (position: AllPosition) => Promise<void>
  },
): Promise<MoveCounts> {
  const { source, target, prefix, signal } = move
  const counts: MoveCounts = { moved: 0, left: 0, ended: 0, renamed: 0 }
  const end = await source.head()
  if (end === undefined) return counts
  const sending = sendRuns(move, counts, async (position) => {
    await report.saved(position)
    report.progress({ done: position, end })
  })
  for await (const event of source.read(after, signal)) {
    if (event.position.commit > end.commit) break
    const fate = fateOf(event, prefix)
    if (fate.kind === 'move') {
      await sending.take(fate.stream, event)
    } else if (fate.kind === 'end') {
      // Nothing of the stream may come behind its end, not even once more.
      await sending.finish()
      await target.tombstone(fate.stream)
      await report.saved(event.position)
      counts.ended += 1
    } else counts.left += 1
  }
  signal.throwIfAborted()
  await sending.finish()
  await report.saved(end)
  report.progress({ done: end, end })
  return counts
}

/** Gathers runs of one stream, sends them without waiting for each, and goes on when the first were answered. */
function sendRuns(move: Move, counts: MoveCounts, saved: (position: AllPosition) => Promise<void>) {
  let gathering: Run | undefined
  const inFlight: { readonly run: Run; readonly outcome: Promise<unknown> }[] = []

  const settleFirst = async () => {
    const first = inFlight.shift()
    if (first === undefined) return
    const settled = [first]
    if ((await first.outcome) !== undefined) {
      // What was sent behind it is there or not by now; only then is it seen what is wrong with this one.
      settled.push(...inFlight.splice(0))
      const outcomes = await Promise.all(settled.map(({ outcome }) => outcome))
      for (const [i, { run }] of settled.entries())
        if (outcomes[i] !== undefined) await sendSingly(move, run, counts)
    }
    const last = settled.at(-1)?.run.events.at(-1)
    if (last !== undefined) await saved(last.position)
  }
  const send = async () => {
    const run = gathering
    gathering = undefined
    if (run === undefined) return
    if (inFlight.length >= inFlightMax) await settleFirst()
    const outcome = move.target.append(appendOf(move, run.stream, run.events)).then(
      () => undefined,
      (error: unknown) => error ?? new Error('refused'),
    )
    inFlight.push({ run, outcome })
  }
  return {
    async take(stream: string, event: MovedEvent) {
      const bytes = event.data.length + event.metadata.length
      const fits =
        gathering?.stream === stream &&
        gathering.events.length < runEventsMax &&
        gathering.bytes + bytes <= runBytesMax
      if (!fits) await send()
      gathering ??= { stream, events: [], bytes: 0 }
      gathering.events.push(event)
      gathering.bytes += bytes
      counts.moved += 1
    },
    async finish() {
      await send()
      while (inFlight.length > 0) await settleFirst()
    },
  }
}

function appendOf(
  { name, repeatedBy }: Move,
  stream: string,
  events: readonly MovedEvent[],
  idOf = (event: MovedEvent) => event.id,
): MoveRun {
  const [first] = events
  return {
    stream,
    expected: repeatedBy === 'ids' || first === undefined ? 'any' : expectedBefore(first.revision),
    events: events.map((event) => {
      const id = idOf(event)
      const { type, contentType, data } = event
      return {
        id,
        type,
        contentType,
        data,
        metadata: movedMetadata(event, { from: name, stream, id }),
      }
    }),
  }
}

/** Sends the events of a run that was refused one by one, so that an id that is taken becomes another one. */
async function sendSingly(move: Move, { stream, events }: Run, counts: MoveCounts): Promise<void> {
  for (const event of events) {
    try {
      await move.target.append(appendOf(move, stream, [event]))
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      // An earlier run has ended the stream, and had moved its events before; the comparison sees whether it had.
      if (error.code === 'STREAM_DELETED') return
      if (error.code !== 'EVENT_ID_REUSED') throw refusedAt(event, error)
      const renamed = appendOf(move, stream, [event], (one) => renamedId(move.name, one))
      await move.target.append(renamed).catch((again: unknown) => {
        throw again instanceof EvidenceError ? refusedAt(event, again) : again
      })
      counts.renamed += 1
    }
  }
}

const refusedAt = ({ stream, revision, type }: MovedEvent, cause: EvidenceError) =>
  new EvidenceError(
    cause.code,
    `${type} at revision ${revision} of ${stream} was not taken: ${cause.message}`,
    { cause, fields: cause.fields },
  )

export interface MoveComparison {
  readonly source: MoveTally
  readonly target: MoveTally
  /** Each event is at both places with the same id, stream, revision, type, time, data and metadata. */
  readonly sameEvents: boolean
  /** Also their order over all streams is the same. */
  readonly sameOrder: boolean
}

/** Reads both stores whole and compares what the move has moved. */
export async function compareMove(
  { source, target, name, prefix, signal }: Omit<Move, 'repeatedBy'>,
  end: AllPosition,
  progress: (side: 'source' | 'target', progress: MoveProgress) => void,
): Promise<MoveComparison> {
  const there = createTally(nodeCrypto.sha256)
  for await (const event of source.read(undefined, signal)) {
    if (event.position.commit > end.commit) break
    if (fateOf(event, prefix).kind === 'move') there.add(event)
    progress('source', { done: event.position, end })
  }
  const here = createTally(nodeCrypto.sha256)
  const last = await target.head()
  for await (const event of target.read(undefined, signal)) {
    if (last === undefined || event.position.commit > last.commit) break
    const before = eventBefore(event, name)
    // What came with a later run than the one that is compared.
    if (before !== undefined && before.position.commit <= end.commit) here.add(before)
    progress('target', { done: event.position, end: last })
  }
  signal.throwIfAborted()
  const [a, b] = [there.result(), here.result()]
  const sameEvents = a.events === b.events && a.sum === b.sum
  return { source: a, target: b, sameEvents, sameOrder: sameEvents && a.chain === b.chain }
}
