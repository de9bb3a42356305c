import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import * as messages from '../../contracts/ledger-messages.js'
import type { EnrolledRights, EnrolledWriter } from '../../ledger/enrolled-writer.js'
import { batchEventsMax, type RecordedEvent } from '../../ledger/event-store.js'
import type { Ledger } from '../../ledger/ledger.js'
import * as wire from '../../ledger/ledger-wire.js'
import type { SealedHeads } from '../../ledger/sealed-heads.js'
import type { LedgerView } from '../../runtime/ledger-view.js'
import { appendBytesMax } from './status.js'
import { type Call, clientStream, type Method, type Send, serverStream, unary } from './rpc.js'
import { ProtocolError, statusOf } from './status.js'
import type { WorkerCallers } from './worker-caller.js'

/** How often it is looked whether the ledger stands otherwise than it was told. */
const standingEveryMs = 25
/** As many events go into one message, or as many bytes. */
const messageEventsMax = 256
const messageBytesMax = 512 * 1024
const coveringMsMax = 30_000
const tileWidthMax = 256
const leavesMax = 1_024
const positionsMax = 1_000

/** What enrolled processes are given beside what entrances have. */
export interface RemoteParts {
  readonly ledger: LedgerView
  readonly callers: WorkerCallers
  readonly writer: EnrolledWriter
  readonly heads: SealedHeads
  readonly health: Pick<Ledger, 'alarms' | 'readOnly' | 'lacksSpace' | 'positions'>
}

/** The ledger as processes without it reach it. Every call is judged by the key of its connection. */
export const ledgerMethods = (parts: RemoteParts): readonly Method[] => [
  ...appends(parts),
  ...reads(parts),
  ...numbers(parts),
  ...proofs(parts),
]

/** Errors cross the wire whole: the other side throws the same. */
function whole(error: unknown): unknown {
  if (!(error instanceof EvidenceError)) return error
  return new ProtocolError(statusOf(error).code, 'fractalops', error.message, {
    [wire.errorTrailer]: wire.errorText(error),
  })
}

const judged =
  <Request, Answer>(
    { callers }: RemoteParts,
    answer: (request: Request, call: Call, rights: EnrolledRights) => Promise<Answer>,
  ) =>
  async (request: Request, call: Call): Promise<Answer> => {
    try {
      return await answer(request, call, await callers.require(call.peer))
    } catch (error) {
      throw whole(error)
    }
  }

/** A stream of messages; whoever was shut out gets none of those that come later. */
const judgedStream =
  <Request, Response>(
    { callers }: RemoteParts,
    answer: (request: Request, call: Call, send: Send<Response>) => Promise<void>,
  ) =>
  async (request: Request, call: Call, send: Send<Response>): Promise<void> => {
    try {
      await callers.require(call.peer)
      await answer(request, call, async (response) => {
        await callers.require(call.peer)
        await send(response)
      })
    } catch (error) {
      throw whole(error)
    }
  }

const appends = (parts: RemoteParts): readonly Method[] => [
  clientStream(
    messages.ledgerMethod('Append'),
    messages.AppendPart,
    messages.AppendAnswer,
    judged(parts, async (sent: AsyncIterable<messages.AppendPart>, call, rights) => {
      const gathered = wire.gatherAppend({ eventsMax: batchEventsMax, bytesMax: appendBytesMax })
      for await (const part of sent) gathered.add(part)
      // A call that was cut off has ended too, but not by its client.
      call.signal.throwIfAborted()
      const streams = await parts.writer
        .append(rights, gathered.requests)
        .catch((error: unknown) => {
          throw withSize(error, parts.ledger.size())
        })
      return {
        streams: streams.map((receipts) => ({ receipts: receipts.map(wire.receiptMessage) })),
        size: parts.ledger.size(),
      }
    }),
  ),
]

/** Who met an event that it did not know of is to see it when it looks again. */
const withSize = (error: unknown, size: number): unknown =>
  error instanceof EvidenceError && error.kind === 'conflict'
    ? new EvidenceError(error.code, error.message, {
        cause: error,
        details: { ...error.details, size },
        fields: error.fields,
      })
    : error

const reads = (parts: RemoteParts): readonly Method[] => {
  const { ledger } = parts
  return [
    serverStream(
      messages.ledgerMethod('Follow'),
      messages.Empty,
      messages.Standing,
      judgedStream(parts, (_, call, send) => followStanding(parts, call, send)),
    ),
    unary(
      messages.ledgerMethod('Find'),
      messages.FindRequest,
      messages.Events,
      judged(parts, async ({ id = '' }) => {
        const found = await ledger.find(id)
        return { events: found === undefined ? [] : [wire.recordedMessage(found)] }
      }),
    ),
    unary(
      messages.ledgerMethod('LastRevision'),
      messages.StreamRequest,
      messages.NumberAnswer,
      judged(parts, async ({ project = '', stream = '', hidden }) => ({
        value: await ledger.lastRevision(project, stream, hidden),
      })),
    ),
    unary(
      messages.ledgerMethod('StreamMetadata'),
      messages.StreamRequest,
      messages.MetadataAnswer,
      judged(parts, async ({ project = '', stream = '' }) => {
        const found = await ledger.streamMetadata(project, stream)
        return found === undefined
          ? {}
          : { revision: found.revision, metadata: JSON.stringify(found.metadata) }
      }),
    ),
    serverStream(
      messages.ledgerMethod('ReadStream'),
      messages.StreamReadRequest,
      messages.Events,
      judgedStream(
        parts,
        async ({ project = '', stream = '', from, backwards, max, hidden }, _, send) => {
          const read = {
            project,
            stream,
            ...directed({ from, backwards, max }),
            hidden: hidden === true,
          }
          await sendEvents(ledger.readStream(read), send)
        },
      ),
    ),
    serverStream(
      messages.ledgerMethod('ReadLog'),
      messages.LogRequest,
      messages.Events,
      judgedStream(parts, async ({ filter = {}, ...request }, _, send) =>
        sendEvents(ledger.readLog({ ...directed(request), filter: wire.filterOf(filter) }), send),
      ),
    ),
    serverStream(
      messages.ledgerMethod('Subscribe'),
      messages.LogRequest,
      messages.Events,
      judgedStream(parts, (request, call, send) => follow(ledger, request, call, send)),
    ),
  ]
}

const numbers = (parts: RemoteParts): readonly Method[] => {
  const { positions } = parts.health
  return [
    unary(
      messages.ledgerMethod('TypeSize'),
      messages.TypeRequest,
      messages.NumberAnswer,
      judged(parts, async ({ project = '', type = '' }) => ({
        value: await positions.typeSize(project, type),
      })),
    ),
    unary(
      messages.ledgerMethod('TypePosition'),
      messages.TypeRequest,
      messages.NumberAnswer,
      judged(parts, async ({ project = '', type = '', typeSeq }) => ({
        value: await positions.typePosition(project, type, wire.numberOf(typeSeq)),
      })),
    ),
  ]
}

const proofs = (parts: RemoteParts): readonly Method[] => {
  const { ledger, heads } = parts
  return [
    unary(
      messages.ledgerMethod('CheckpointCovering'),
      messages.CoveringRequest,
      messages.Checkpoint,
      judged(parts, async ({ position, timeoutMs }) =>
        wire.checkpointMessage(
          await ledger.checkpointCovering(
            wire.numberOf(position),
            timeoutMs === undefined ? undefined : Math.min(timeoutMs, coveringMsMax),
          ),
        ),
      ),
    ),
    serverStream(
      messages.ledgerMethod('CheckpointsAfter'),
      messages.AfterRequest,
      messages.Checkpoint,
      judgedStream(parts, async ({ size }, _, send) => {
        for await (const checkpoint of ledger.checkpointsAfter(wire.numberOf(size)))
          await send(wire.checkpointMessage(checkpoint))
      }),
    ),
    unary(
      messages.ledgerMethod('Prove'),
      messages.ProofRequest,
      messages.Hashes,
      judged(parts, async ({ size: told, position, positions, from }) => {
        const size = wire.numberOf(told)
        if (from !== undefined)
          return { hashes: await ledger.proveConsistency(wire.numberOf(from), size) }
        if (position !== undefined)
          return { hashes: await ledger.proveInclusion(wire.numberOf(position), size) }
        const several = bounded(positions ?? [], positionsMax).map(wire.numberOf)
        return { hashes: await ledger.proveBatch(several, size) }
      }),
    ),
    unary(
      messages.ledgerMethod('ProveHead'),
      messages.HeadRequest,
      messages.HeadAnswer,
      judged(parts, async ({ kind, project = '', name = '' }) => {
        const found = await heads.prove(kind === 'type' ? 'type' : 'stream', project, name)
        return found === undefined ? {} : wire.headMessage(found)
      }),
    ),
    unary(
      messages.ledgerMethod('HashTile'),
      messages.TileRequest,
      messages.Hashes,
      judged(parts, async ({ level = 0, index, width = 0 }) => ({
        hashes: [await ledger.hashTile(level, wire.numberOf(index), Math.min(width, tileWidthMax))],
      })),
    ),
    unary(
      messages.ledgerMethod('Leaves'),
      messages.LeavesRequest,
      messages.Hashes,
      judged(parts, async ({ from, count = 0 }) => ({
        hashes: await ledger.leaves(wire.numberOf(from), Math.min(count, leavesMax)),
      })),
    ),
  ]
}

function bounded<Item>(items: readonly Item[], max: number): readonly Item[] {
  if (items.length <= max) return items
  throw new EvidenceError('REQUEST_TOO_LARGE', `at most ${max} positions are proven at once`)
}

const directed = ({
  from,
  backwards,
  max,
}: Pick<messages.LogRequest, 'from' | 'backwards' | 'max'>) => ({
  ...(from === undefined ? {} : { from: wire.numberOf(from) }),
  direction: backwards === true ? ('backwards' as const) : ('forwards' as const),
  ...(max === undefined ? {} : { max: wire.numberOf(max) }),
})

/** Gathers events into messages. */
function gathering(send: Send<messages.Events>) {
  let events: ReturnType<typeof wire.recordedMessage>[] = []
  let bytes = 0
  const flush = async (caughtUp?: number) => {
    if (events.length === 0 && caughtUp === undefined) return
    const sent = { events, ...(caughtUp === undefined ? {} : { caughtUp }) }
    events = []
    bytes = 0
    await send(sent)
  }
  return {
    flush,
    async add(event: RecordedEvent) {
      events.push(wire.recordedMessage(event))
      bytes += (event.data?.bytes.length ?? 0) + event.leafText.length
      if (events.length >= messageEventsMax || bytes >= messageBytesMax) await flush()
    },
  }
}

async function sendEvents(
  events: AsyncIterable<RecordedEvent>,
  send: Send<messages.Events>,
): Promise<void> {
  const gathered = gathering(send)
  for await (const event of events) await gathered.add(event)
  await gathered.flush()
}

async function follow(
  ledger: LedgerView,
  { from, filter = {} }: messages.LogRequest,
  { signal }: Call,
  send: Send<messages.Events>,
): Promise<void> {
  const gathered = gathering(send)
  const options = { from: wire.numberOf(from), filter: wire.filterOf(filter), signal }
  for await (const delivery of ledger.subscribe(options)) {
    if (delivery.kind === 'event') await gathered.add(delivery.event)
    else await gathered.flush(delivery.position)
  }
  throw ended()
}

const ended = () => new EvidenceError('SERVICE_NOT_RUNNING', 'the server ends')

async function followStanding(
  { ledger, health, callers }: RemoteParts,
  { signal, peer }: Call,
  send: Send<messages.Standing>,
): Promise<void> {
  let told = ''
  while (!signal.aborted) {
    // Also when there is nothing to tell: a process that was shut out is to know it.
    await callers.require(peer)
    const checkpoint = ledger.checkpoint()
    const present = {
      origin: ledger.origin,
      size: ledger.size(),
      keys: ledger.keys.map(({ vkey, signingFrom }) => ({ vkey, signingFrom })),
      sequencedOnAppend: ledger.capabilities.sequencedOnAppend,
      multiStreamAtomic: ledger.capabilities.multiStreamAtomic,
      alarms: health.alarms().map(({ alarm, message }) => ({ code: alarm, message })),
      readOnly: noticeOf(health.readOnly()),
      lacksSpace: noticeOf(health.lacksSpace()),
    }
    const form = JSON.stringify([present, checkpoint.note])
    if (form !== told) {
      told = form
      await send({ ...present, checkpoint: wire.checkpointMessage(checkpoint) })
    }
    await pause(standingEveryMs, undefined, { signal }).catch(() => undefined)
  }
  throw ended()
}

const noticeOf = (error: EvidenceError | null) =>
  error === null ? undefined : { code: error.code, message: error.message }
