import { type Metadata, status } from '@grpc/grpc-js'
import { EvidenceError } from '../../contracts/errors.js'
import type { Exchange } from './exchange.js'
import { ProtocolError, statusOf } from './status.js'

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

/** The methods by their paths; each answers one call at a time. */
export interface MethodTable {
  register(path: string, serve: (exchange: Exchange) => void): void
}

/** One method, ready to be served. */
export type Method = (table: MethodTable, watch: CallWatch) => void

interface Reads<Request> {
  decode(bytes: Uint8Array): Request
}
interface Writes<Response> {
  encode(value: Response): Buffer
}

/** Runs one call to its end; what it throws becomes the status that the client is answered. */
async function run(
  path: string,
  exchange: Exchange,
  watch: CallWatch,
  work: (call: Call) => Promise<void>,
): Promise<void> {
  const ending = new AbortController()
  const forget = watch.begin(ending)
  exchange.onGone(() => ending.abort())
  const { metadata, peer, host } = exchange
  try {
    await work({ metadata, peer, host, signal: ending.signal })
    exchange.finish()
  } catch (error) {
    // Nobody is there to be answered.
    if (exchange.gone) return
    const answer = statusOf(ending.signal.aborted ? serverEnds(error) : error)
    if (answer.code === status.INTERNAL) watch.failed(path, error)
    exchange.finish(answer)
  } finally {
    forget()
  }
}

/**
 * The requests of a call, until its client has said all of them; ends with an error when the server does. They are
 * decoded where what is wrong with them can be answered.
 */
async function* decoded<Request>(
  { requests }: Exchange,
  request: Reads<Request>,
  { signal }: Call,
): AsyncGenerator<Request> {
  const messages = requests()[Symbol.asyncIterator]()
  let interrupt = (_cause: Error): void => undefined
  const end = () => interrupt(serverEnds(signal.reason))
  signal.addEventListener('abort', end)
  try {
    for (;;) {
      signal.throwIfAborted()
      const next = await new Promise<IteratorResult<Buffer>>((resolve, reject) => {
        interrupt = reject
        messages.next().then(resolve, reject)
      })
      if (next.done === true) return
      yield request.decode(next.value)
    }
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** The one message of a call whose client sends no more than that. */
async function only<Request>(
  exchange: Exchange,
  request: Reads<Request>,
  call: Call,
): Promise<Request> {
  for await (const one of decoded(exchange, request, call)) return one
  throw new ProtocolError(status.INTERNAL, 'message-missing', 'the call has no message')
}

const serverEnds = (cause: unknown) =>
  new EvidenceError('SERVICE_NOT_RUNNING', 'the server ends', { cause })

/** Memory stays bounded by what may wait for the client: its window decides. */
const sender =
  <Response>(exchange: Exchange, response: Writes<Response>, { signal }: Call): Send<Response> =>
  (value) =>
    signal.aborted
      ? Promise.reject(signal.reason as Error)
      : exchange.send(response.encode(value), signal)

const served =
  (path: string, work: (exchange: Exchange, call: Call) => Promise<void>): Method =>
  (table, watch) =>
    table.register(
      path,
      (exchange) => void run(path, exchange, watch, (call) => work(exchange, call)),
    )

export const unary = <Request, Response>(
  path: string,
  request: Reads<Request>,
  response: Writes<Response>,
  answer: (request: Request, call: Call) => Promise<Response>,
): Method =>
  served(path, async (exchange, call) => {
    const answered = await answer(await only(exchange, request, call), call)
    await exchange.send(response.encode(answered), call.signal)
  })

export const clientStream = <Request, Response>(
  path: string,
  request: Reads<Request>,
  response: Writes<Response>,
  answer: (requests: AsyncIterable<Request>, call: Call) => Promise<Response>,
): Method =>
  served(path, async (exchange, call) => {
    const answered = await answer(decoded(exchange, request, call), call)
    await exchange.send(response.encode(answered), call.signal)
  })

export const serverStream = <Request, Response>(
  path: string,
  request: Reads<Request>,
  response: Writes<Response>,
  answer: (request: Request, call: Call, send: Send<Response>) => Promise<void>,
): Method =>
  served(path, async (exchange, call) =>
    answer(await only(exchange, request, call), call, sender(exchange, response, call)),
  )

export const bidi = <Request, Response>(
  path: string,
  request: Reads<Request>,
  response: Writes<Response>,
  answer: (requests: AsyncIterable<Request>, call: Call, send: Send<Response>) => Promise<void>,
): Method =>
  served(path, (exchange, call) =>
    answer(decoded(exchange, request, call), call, sender(exchange, response, call)),
  )
