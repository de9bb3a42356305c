import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js'
import { status } from '@grpc/grpc-js'
import shared from '@kurrent/kurrentdb-client/generated/kurrentdb/protocols/v1/shared_pb.js'
import services from '@kurrent/kurrentdb-client/generated/kurrentdb/protocols/v1/streams_grpc_pb.js'
import messages from '@kurrent/kurrentdb-client/generated/kurrentdb/protocols/v1/streams_pb.js'
import { type ErrorCode, EvidenceError, errorTable } from '../../contracts/errors.js'
import type { MovableStore, MoveRun } from '../movable-store.js'
import type { AllPosition } from '../all-position.js'
import type { MovedEvent } from '../moved-event.js'
import { type EsdbConnection, readEsdbConnection } from './esdb-connection.js'

type Streams = InstanceType<typeof services.StreamsClient>
type ReadEvent = NonNullable<ReturnType<messages.ReadResp['getEvent']>>
type Appends = ClientDuplexStream<messages.BatchAppendReq, messages.BatchAppendResp>

/** The largest count that every server of the protocol reads. */
const everything = String(2n ** 63n - 1n)
const unaryDeadlineMs = 60_000
const readyDeadlineMs = 10_000

/**
 * A server of the EventStoreDB protocol as a place that events are moved from or to. Below the official client, whose JSON
 * events are parsed: what is moved keeps its bytes.
 *
 * @throws EvidenceError CONNECTION_STRING_INVALID; EVENT_STORE_UNREACHABLE when nothing answers there.
 */
export async function openEsdbMovable(text: string): Promise<MovableStore> {
  const connection = readEsdbConnection(text)
  const { address, credentials, options } = connection
  const client = new services.StreamsClient(address, credentials, options)
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + readyDeadlineMs, (error) =>
      error === undefined ? resolve() : reject(unreachable(address, error)),
    )
  }).catch((error: unknown) => {
    client.close()
    throw error
  })
  const appends = batchAppends(client, connection)
  return {
    address,
    async head() {
      const read = client.read(readAllRequest('backwards', undefined, '1'), connection.metadata())
      for await (const answer of eventsOf(read, address)) return positionOf(answer)
      return undefined
    },
    async *read(after, signal) {
      const request = readAllRequest('forwards', after, everything)
      const read = client.read(request, connection.metadata())
      const cancel = () => read.cancel()
      signal.addEventListener('abort', cancel, { once: true })
      try {
        for await (const answer of eventsOf(read, address)) {
          const position = positionOf(answer)
          // A read begins with the event at its position: that one was had already.
          if (after !== undefined && isSame(position, after)) continue
          yield movedEvent(answer, position)
        }
      } finally {
        signal.removeEventListener('abort', cancel)
        read.cancel()
      }
    },
    append: (run) => appends.append(run),
    tombstone: (stream) => tombstone(client, connection, stream),
    close() {
      appends.end()
      client.close()
    },
  }
}

const isSame = (a: AllPosition, b: AllPosition) => a.commit === b.commit && a.prepare === b.prepare

const unreachable = (address: string, cause: unknown) =>
  new EvidenceError('EVENT_STORE_UNREACHABLE', `no event store answers at ${address}`, { cause })

const identifier = (stream: string) => {
  const named = new shared.StreamIdentifier()
  named.setStreamName(Buffer.from(stream))
  return named
}

function readAllRequest(
  direction: 'forwards' | 'backwards',
  after: AllPosition | undefined,
  count: string,
): messages.ReadReq {
  const { Options } = messages.ReadReq
  const all = new Options.AllOptions()
  if (after !== undefined) {
    const position = new Options.Position()
    position.setCommitPosition(String(after.commit))
    position.setPreparePosition(String(after.prepare))
    all.setPosition(position)
  } else if (direction === 'forwards') all.setStart(new shared.Empty())
  else all.setEnd(new shared.Empty())
  const uuid = new Options.UUIDOption()
  uuid.setString(new shared.Empty())
  const options = new Options()
  options.setAll(all)
  options.setReadDirection(
    direction === 'forwards' ? Options.ReadDirection.FORWARDS : Options.ReadDirection.BACKWARDS,
  )
  options.setCount(count)
  options.setNoFilter(new shared.Empty())
  options.setUuidOption(uuid)
  const request = new messages.ReadReq()
  request.setOptions(options)
  return request
}

async function* eventsOf(
  read: AsyncIterable<messages.ReadResp>,
  address: string,
): AsyncGenerator<ReadEvent> {
  try {
    for await (const answer of read) {
      const event = answer.getEvent()
      if (event?.hasEvent() === true) yield event
    }
  } catch (error) {
    throw refusalOf(error, address)
  }
}

const positionOf = (answer: ReadEvent): AllPosition => {
  const event = answer.getEvent()
  return {
    commit: BigInt(event?.getCommitPosition() ?? 0),
    prepare: BigInt(event?.getPreparePosition() ?? 0),
  }
}

function movedEvent(answer: ReadEvent, position: AllPosition): MovedEvent {
  const event = answer.getEvent() ?? new messages.ReadResp.ReadEvent.RecordedEvent()
  const facts = event.getMetadataMap()
  return {
    id: event.getId()?.getString() ?? '',
    stream: Buffer.from(event.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString(),
    revision: BigInt(event.getStreamRevision()),
    type: facts.get('type') ?? '',
    contentType: facts.get('content-type') ?? 'application/octet-stream',
    data: event.getData_asU8(),
    metadata: event.getCustomMetadata_asU8(),
    created: BigInt(facts.get('created') ?? '0'),
    position,
  }
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Appends over one call of BatchAppend, so that their order is that of the calls. */
function batchAppends(client: Streams, connection: EsdbConnection) {
  const waiting = new Map<string, Waiting>()
  let call: Appends | undefined
  let sending = Promise.resolve()

  const open = (): Appends => {
    if (call !== undefined) return call
    const opened: Appends = client.batchAppend(connection.metadata())
    opened.on('data', (answer: messages.BatchAppendResp) => {
      const id = answer.getCorrelationId()?.getString() ?? ''
      const one = waiting.get(id)
      waiting.delete(id)
      const error = answer.getError()
      if (error === undefined) one?.resolve()
      else one?.reject(new BatchRefusal(error.getMessage()))
    })
    const ended = (error: unknown) => {
      if (call === opened) call = undefined
      for (const one of waiting.values()) one.reject(error)
      waiting.clear()
    }
    opened.on('error', (error) => ended(refusalOf(error, connection.address)))
    opened.on('end', () => ended(unreachable(connection.address, undefined)))
    return (call = opened)
  }

  return {
    async append(run: MoveRun): Promise<void> {
      const id = randomUUID()
      const answered = new Promise<void>((resolve, reject) => {
        waiting.set(id, { resolve, reject })
      })
      // Written one after the other: a full connection makes the next ones wait.
      sending = sending.then(async () => {
        try {
          const stream = open()
          if (!stream.write(batchRequest(id, run)))
            await Promise.race([once(stream, 'drain'), once(stream, 'end')])
        } catch (error) {
          waiting.get(id)?.reject(refusalOf(error, connection.address))
        }
      })
      try {
        await answered
      } catch (error) {
        if (!(error instanceof BatchRefusal)) throw error
        // Asked once more by the call whose refusals carry a code.
        await appendAlone(client, connection, run)
      }
    },
    end() {
      call?.cancel()
    },
  }
}

/** What this method says of a refusal is meant for people. */
class BatchRefusal extends Error {}

function expectedOf<
  Options extends {
    setAny(value: shared.Empty): unknown
    setNoStream(value: shared.Empty): unknown
  },
>(options: Options, expected: MoveRun['expected'], exact: (revision: string) => unknown): Options {
  if (expected === 'any') options.setAny(new shared.Empty())
  else if (expected === 'none') options.setNoStream(new shared.Empty())
  else exact(String(expected))
  return options
}

function batchRequest(correlation: string, run: MoveRun): messages.BatchAppendReq {
  const id = new shared.UUID()
  id.setString(correlation)
  const options = new messages.BatchAppendReq.Options()
  options.setStreamIdentifier(identifier(run.stream))
  expectedOf(options, run.expected, (revision) => options.setStreamPosition(revision))
  const request = new messages.BatchAppendReq()
  request.setCorrelationId(id)
  request.setOptions(options)
  request.setProposedMessagesList(
    run.events.map((event) => proposed(new messages.BatchAppendReq.ProposedMessage(), event)),
  )
  request.setIsFinal(true)
  return request
}

function proposed<
  Message extends messages.BatchAppendReq.ProposedMessage | messages.AppendReq.ProposedMessage,
>(message: Message, { id, type, contentType, data, metadata }: MoveRun['events'][number]): Message {
  const uuid = new shared.UUID()
  uuid.setString(id)
  message.setId(uuid)
  message.getMetadataMap().set('type', type)
  message.getMetadataMap().set('content-type', contentType)
  message.setData(data)
  message.setCustomMetadata(metadata)
  return message
}

/** Appends by the call that answers why it refuses. @throws EvidenceError. */
async function appendAlone(client: Streams, connection: EsdbConnection, run: MoveRun) {
  const answer = await new Promise<messages.AppendResp>((resolve, reject) => {
    const call = client.append(
      connection.metadata(),
      { deadline: Date.now() + unaryDeadlineMs },
      (error, response) => (error === null ? resolve(response) : reject(error)),
    )
    const options = new messages.AppendReq.Options()
    options.setStreamIdentifier(identifier(run.stream))
    expectedOf(options, run.expected, (revision) => options.setRevision(revision))
    const first = new messages.AppendReq()
    first.setOptions(options)
    call.write(first)
    for (const event of run.events) {
      const request = new messages.AppendReq()
      request.setProposedMessage(proposed(new messages.AppendReq.ProposedMessage(), event))
      call.write(request)
    }
    call.end()
  }).catch((error: unknown) => {
    throw refusalOf(error, connection.address)
  })
  if (answer.hasWrongExpectedVersion())
    throw new EvidenceError(
      'REVISION_CONFLICT',
      `the stream ${run.stream} holds other events at ${connection.address}`,
    )
}

async function tombstone(client: Streams, connection: EsdbConnection, stream: string) {
  const options = new messages.TombstoneReq.Options()
  options.setStreamIdentifier(identifier(stream))
  options.setAny(new shared.Empty())
  const request = new messages.TombstoneReq()
  request.setOptions(options)
  await new Promise<void>((resolve, reject) => {
    client.tombstone(
      request,
      connection.metadata(),
      { deadline: Date.now() + unaryDeadlineMs },
      (error) => (error === null ? resolve() : reject(error)),
    )
  }).catch((error: unknown) => {
    const refusal = refusalOf(error, connection.address)
    if (refusal.code !== 'STREAM_DELETED') throw refusal
  })
}

const isCode = (text: unknown): text is ErrorCode => typeof text === 'string' && text in errorTable

const codeOf: Readonly<Record<string, ErrorCode>> = {
  'access-denied': 'WRITER_REFUSED',
  'stream-deleted': 'STREAM_DELETED',
  'wrong-expected-version': 'REVISION_CONFLICT',
  'maximum-append-size-exceeded': 'EVENT_TOO_LARGE',
}

/** What the server answered, as one of our errors: ours names its code, others the exception of the protocol. */
function refusalOf(error: unknown, address: string): EvidenceError {
  if (error instanceof EvidenceError) return error
  const { code, details, metadata } = error as Partial<ServiceError>
  const [own] = metadata?.get('fractalops-code') ?? []
  const [exception] = metadata?.get('exception') ?? []
  const known = isCode(own) ? own : codeOf[String(exception)]
  if (known !== undefined)
    return new EvidenceError(known, `${address} refused: ${details ?? known}`, { cause: error })
  if (code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED)
    return new EvidenceError('TOKEN_INVALID', `${address} refused: ${details ?? ''}`, {
      cause: error,
    })
  if (code === status.INVALID_ARGUMENT)
    return new EvidenceError('EVENT_INVALID', `${address} refused: ${details ?? ''}`, {
      cause: error,
    })
  return unreachable(address, error)
}
