import { once } from 'node:events'
import type { Readable } from 'node:stream'
import {
  type Metadata,
  type Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { EvidenceError } from '../../contracts/errors.js'
import { statusOf } from './status.js'

/** What a method may know of the call beside its messages. */
export interface Call {
  readonly metadata: Metadata
  readonly peer: string
  /** The address that the client has asked for. */
  readonly host: string
  /** Aborts when the client cancels, its deadline passes, the connection is lost, or the server ends. */
  readonly signal: AbortSignal
}

/** Sends one message; resolves when the client has taken enough of those before. */
export type Send<Response> = (response: Response) => Promise<void>

/** What the server sees of every call. */
export interface CallWatch {
  /** Notes a call that may last; answers what forgets it. */
  begin(ending: AbortController): () => void
  /** Told of errors that are no answer to a request but our own fault. */
  failed(path: string, error: unknown): void
}

/** One method, ready to be served. */
export type Method = (server: Server, watch: CallWatch) => void

interface Reads<Request> {
  decode(bytes: Uint8Array): Request
}
interface Writes<Response> {
  encode(value: Response): Buffer
}

/** What calls of every kind have. */
interface AnyCall {
  readonly metadata: Metadata
  readonly cancelled: boolean
  getPeer(): string
  getHost(): string
  on(event: 'cancelled', listener: () => void): unknown
}

/** Runs one call to its end; what it throws becomes the status that the client is answered. */
async function run(
  path: string,
  call: AnyCall,
  watch: CallWatch,
  work: (call: Call) => Promise<void>,
  refuse: (error: ReturnType<typeof statusOf>) => void,
): Promise<void> {
  const ending = new AbortController()
  const forget = watch.begin(ending)
  call.on('cancelled', () => ending.abort())
  try {
    await work({
      metadata: call.metadata,
      peer: call.getPeer(),
      host: call.getHost(),
      signal: ending.signal,
    })
  } catch (error) {
    // Nobody is there to be answered.
    if (call.cancelled) return
    const answer = statusOf(ending.signal.aborted ? serverEnds(error) : error)
    if (answer.code === status.INTERNAL) watch.failed(path, error)
    refuse(answer)
  } finally {
    forget()
  }
}

/** Requests are decoded where what is wrong with them can be answered. */
const asIs = (bytes: Buffer): Buffer => bytes

async function* decoded<Request>(
  requests: Readable,
  request: Reads<Request>,
): AsyncGenerator<Request> {
  // Not destroyed when reading stops early: the answer that says why still has to go out.
  for await (const bytes of requests.iterator({ destroyOnReturn: false }))
    yield request.decode(bytes as Buffer)
}

const serverEnds = (cause: unknown) =>
  new EvidenceError('SERVICE_NOT_RUNNING', 'the server ends', { cause })

export const unary =
  <Request, Response>(
    path: string,
    request: Reads<Request>,
    response: Writes<Response>,
    answer: (request: Request, call: Call) => Promise<Response>,
  ): Method =>
  (server, watch) => {
    server.register<Buffer, Response>(
      path,
      (call: ServerUnaryCall<Buffer, Response>, reply: sendUnaryData<Response>) => {
        void run(
          path,
          call,
          watch,
          async (seen) => reply(null, await answer(request.decode(call.request), seen)),
          (error) => reply(error),
        )
      },
      (value) => response.encode(value),
      asIs,
      'unary',
    )
  }

export const clientStream =
  <Request, Response>(
    path: string,
    request: Reads<Request>,
    response: Writes<Response>,
    answer: (requests: AsyncIterable<Request>, call: Call) => Promise<Response>,
  ): Method =>
  (server, watch) => {
    server.register<Buffer, Response>(
      path,
      (call: ServerReadableStream<Buffer, Response>, reply: sendUnaryData<Response>) => {
        void run(
          path,
          call,
          watch,
          async (seen) => reply(null, await answer(decoded(call, request), seen)),
          (error) => reply(error),
        )
      },
      (value) => response.encode(value),
      asIs,
      'clientStream',
    )
  }

export const serverStream =
  <Request, Response>(
    path: string,
    request: Reads<Request>,
    response: Writes<Response>,
    answer: (request: Request, call: Call, send: Send<Response>) => Promise<void>,
  ): Method =>
  (server, watch) => {
    server.register<Buffer, Response>(
      path,
      (call: ServerWritableStream<Buffer, Response>) => {
        void run(
          path,
          call,
          watch,
          async (seen) => {
            await answer(request.decode(call.request), seen, sender(call, seen))
            call.end()
          },
          (error) => call.emit('error', error),
        )
      },
      (value) => response.encode(value),
      asIs,
      'serverStream',
    )
  }

export const bidi =
  <Request, Response>(
    path: string,
    request: Reads<Request>,
    response: Writes<Response>,
    answer: (requests: AsyncIterable<Request>, call: Call, send: Send<Response>) => Promise<void>,
  ): Method =>
  (server, watch) => {
    server.register<Buffer, Response>(
      path,
      (call: ServerDuplexStream<Buffer, Response>) => {
        void run(
          path,
          call,
          watch,
          async (seen) => {
            await answer(decoded(call, request), seen, sender(call, seen))
            call.end()
          },
          (error) => call.emit('error', error),
        )
      },
      (value) => response.encode(value),
      asIs,
      'bidi',
    )
  }

/** Memory stays bounded by what the stream takes before it asks to wait: the client's window decides. */
const sender =
  <Response>(
    call: ServerWritableStream<Buffer, Response> | ServerDuplexStream<Buffer, Response>,
    { signal }: Call,
  ): Send<Response> =>
  async (response) => {
    signal.throwIfAborted()
    if (call.write(response)) return
    await once(call, 'drain', { signal })
  }
