import { isIP } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { checkServerIdentity } from 'node:tls'
import {
  type CallOptions,
  Client,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { EvidenceError } from '../../contracts/errors.js'
import { ledgerMethod } from '../../contracts/ledger-messages.js'
import { errorOf, errorTrailer } from '../ledger-wire.js'

export interface RemotePlace {
  /** `host:port`. */
  readonly address: string
  /** Certificate of the authority that vouches for the server, PEM; it alone is believed. */
  readonly authority: Uint8Array
  /** Certificate and key of this process, PEM. */
  readonly certificate: Uint8Array
  readonly key: Uint8Array
}

interface Encodes<Value> {
  encode(value: Value): Buffer
}
interface Decodes<Value> {
  decode(bytes: Uint8Array): Value
}

/** Calls of `fractalops.ledger.v1.Ledger`. All of them may be sent again: appends bear the ids of their events. */
export interface RemoteCalls {
  unary<Request, Answer>(
    method: string,
    types: readonly [Encodes<Request>, Decodes<Answer>],
    request: Request,
  ): Promise<Answer>
  upload<Part, Answer>(
    method: string,
    types: readonly [Encodes<Part>, Decodes<Answer>],
    parts: () => Iterable<Part>,
  ): Promise<Answer>
  /** One call, not sent again; whoever reads slowly makes the server wait. Ends when `signal` aborts. */
  stream<Request, Answer>(
    method: string,
    types: readonly [Encodes<Request>, Decodes<Answer>],
    request: Request,
    signal?: AbortSignal,
  ): AsyncGenerator<Answer>
  close(): void
}

/** How often a call is sent, and how long one may take. */
const callAttemptsMax = 5
const callMs = 30_000
export const backoffMinMs = 100
const backoffMaxMs = 2_000
const keepaliveMs = 5_000

/** Whether the ledger was not reached, so that the same may be asked again. */
const isAway = (error: unknown): boolean =>
  error instanceof EvidenceError &&
  (error.code === 'LEDGER_UNREACHABLE' || error.code === 'SERVICE_NOT_RUNNING')

export const growing = (backoffMs: number): number => Math.min(2 * backoffMs, backoffMaxMs)

export function openRemoteCalls({
  address,
  authority,
  certificate,
  key,
}: RemotePlace): RemoteCalls {
  const host = address.replace(/:\d+$/, '').replaceAll(/[[\]]/g, '')
  const isAddress = isIP(host) !== 0
  const secure = credentials.createSsl(
    Buffer.from(authority),
    Buffer.from(key),
    Buffer.from(certificate),
    isAddress ? { checkServerIdentity: (_, shown) => checkServerIdentity(host, shown) } : {},
  )
  const client = new Client(address, secure, {
    // TLS names no server by its address; the certificate is compared with the address all the same.
    ...(isAddress ? { 'grpc.ssl_target_name_override': 'localhost' } : {}),
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    'grpc.initial_reconnect_backoff_ms': backoffMinMs,
    'grpc.max_reconnect_backoff_ms': backoffMaxMs,
    // A machine that is gone without a word is noticed.
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveMs,
  })
  const told = (error: unknown) => translated(address, error)
  const again = async <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
    let backoffMs = backoffMinMs
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await call()
      } catch (thrown) {
        const error = told(thrown)
        if (!isAway(error) || attempt >= callAttemptsMax) throw error
      }
      await pause(backoffMs)
      backoffMs = growing(backoffMs)
    }
  }
  const options = (): CallOptions => ({ deadline: Date.now() + callMs })
  return {
    unary: (method, [request, answer], value) =>
      again(
        () =>
          new Promise((resolve, reject) => {
            client.makeUnaryRequest(
              ledgerMethod(method),
              (sent: typeof value) => request.encode(sent),
              (bytes: Buffer) => answer.decode(bytes),
              value,
              new Metadata(),
              options(),
              (error, response) => {
                if (error !== null || response === undefined) reject(error ?? noAnswer())
                else resolve(response)
              },
            )
          }),
      ),
    upload: (method, [part, answer], parts) =>
      again(
        () =>
          new Promise((resolve, reject) => {
            const call = client.makeClientStreamRequest(
              ledgerMethod(method),
              (sent: Parameters<typeof part.encode>[0]) => part.encode(sent),
              (bytes: Buffer) => answer.decode(bytes),
              new Metadata(),
              options(),
              (error, response) => {
                if (error !== null || response === undefined) reject(error ?? noAnswer())
                else resolve(response)
              },
            )
            // The answer says what went wrong.
            call.on('error', () => undefined)
            // Bounded by what one append may hold.
            for (const one of parts()) call.write(one)
            call.end()
          }),
      ),
    async *stream(method, [request, answer], value, signal) {
      const call = client.makeServerStreamRequest(
        ledgerMethod(method),
        (sent: typeof value) => request.encode(sent),
        (bytes: Buffer) => answer.decode(bytes),
        value,
        new Metadata(),
      )
      const cancel = () => call.cancel()
      call.on('error', () => undefined)
      signal?.addEventListener('abort', cancel, { once: true })
      if (signal?.aborted === true) cancel()
      try {
        for await (const one of call) yield one as ReturnType<typeof answer.decode>
      } catch (error) {
        if (signal?.aborted !== true) throw told(error)
      } finally {
        signal?.removeEventListener('abort', cancel)
        cancel()
      }
    },
    close: () => client.close(),
  }
}

const noAnswer = () => new TypeError('a call ended without an answer')

/** Codes of connections that failed or ended; the request may or may not have been served. */
const awayCodes: readonly number[] = [
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.INTERNAL,
  status.UNKNOWN,
]

function translated(address: string, error: unknown): unknown {
  if (error instanceof EvidenceError || !isServiceError(error)) return error
  const [trailer] = error.metadata.get(errorTrailer)
  const whole = trailer === undefined ? undefined : errorOf(trailer.toString())
  if (whole !== undefined) return whole
  if (error.code === status.UNIMPLEMENTED)
    return new EvidenceError(
      'CONFIGURATION_INVALID',
      `what answers at ${address} is no FractalOps Ledger that lets other processes in`,
      { cause: error },
    )
  if (!awayCodes.includes(error.code)) return error
  return new EvidenceError(
    'LEDGER_UNREACHABLE',
    `the ledger at ${address} does not answer: ${error.details}`,
    { cause: error },
  )
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'number' &&
  'metadata' in error &&
  error.metadata instanceof Metadata

/**
 * Reads a stream of messages to its end, from where it was when the connection was lost in between. Progress makes
 * the attempts count anew; with `patient` they have no end but that of whoever reads.
 */
export async function* resumed<Told, Item>(
  open: () => AsyncIterable<Told> | undefined,
  itemsOf: (told: Told) => Iterable<Item>,
  patient?: AbortSignal,
): AsyncGenerator<Item> {
  let backoffMs = backoffMinMs
  for (let attempt = 1; ; attempt += 1) {
    try {
      const messagesOf = open()
      if (messagesOf === undefined) return
      for await (const told of messagesOf) {
        attempt = 1
        backoffMs = backoffMinMs
        yield* itemsOf(told)
      }
      return
    } catch (error) {
      if (!isAway(error) || (patient === undefined && attempt >= callAttemptsMax)) throw error
    }
    await pause(backoffMs, undefined, patient === undefined ? {} : { signal: patient }).catch(
      () => undefined,
    )
    if (patient?.aborted === true) return
    backoffMs = growing(backoffMs)
  }
}
