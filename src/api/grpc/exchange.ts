import { once } from 'node:events'
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { Metadata, status } from '@grpc/grpc-js'
import { encodingsTaken, framed, messagesOf } from './message-frames.js'
import type { CallStatus } from './status.js'

/** The largest event and what a message has around it; clients take as much. */
const messageBytesMax = 17 * 1024 * 1024
/** What is sent together: one write costs as much as encoding several messages. */
const togetherBytes = 64 * 1024
/** What may wait for a client that does not take it. */
const unsentBytesMax = 256 * 1024
const timerMsMax = 2 ** 31 - 1

/** One call as HTTP/2 has it: messages as bytes, both ways, and how it ends. */
export interface Exchange {
  readonly metadata: Metadata
  readonly peer: string
  /** The address that the client has asked for. */
  readonly host: string
  /** Whether nobody is there to be answered. */
  readonly gone: boolean
  /** Told once when the client cancels, its deadline passes, or the connection is lost. */
  onGone(listener: () => void): void
  /** What the client sends, until it ends its side. */
  readonly requests: () => AsyncIterable<Buffer>
  /** Takes one message; resolves when the client has taken enough of those before. */
  send(message: Uint8Array, signal: AbortSignal): Promise<void>
  /** Ends the call, with a status that is not OK when there is one. */
  finish(failed?: CallStatus): void
}

const replyHeaders: OutgoingHttpHeaders = {
  [constants.HTTP2_HEADER_STATUS]: 200,
  [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc+proto',
  'grpc-accept-encoding': encodingsTaken,
}
const ready = Promise.resolve()

/** A header that is there once. */
export const textOf = (header: string | string[] | undefined): string =>
  typeof header === 'string' ? header : ''

export function openExchange(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Exchange {
  const listeners: (() => void)[] = []
  let gone = false
  let finished = false
  let waiting: Buffer[] = []
  let waitingBytes = 0
  let flushing: NodeJS.Immediate | undefined

  const leave = () => {
    if (gone || finished) return
    gone = true
    clearTimeout(timer)
    for (const listener of listeners) listener()
  }
  const flush = () => {
    clearImmediate(flushing)
    flushing = undefined
    if (waiting.length === 0 || stream.destroyed) return
    if (!stream.headersSent) stream.respond(replyHeaders, { waitForTrailers: true })
    const [first] = waiting
    stream.write(waiting.length === 1 ? first : Buffer.concat(waiting, waitingBytes))
    waiting = []
    waitingBytes = 0
  }
  const finish = (failed?: CallStatus) => {
    if (finished || gone) return
    finished = true
    clearTimeout(timer)
    flush()
    const trailers = trailersOf(failed)
    if (stream.destroyed) return
    // What the client still sends is let through to nobody: it must not hold up its other calls.
    stream.resume()
    if (!stream.headersSent) {
      stream.respond({ ...replyHeaders, ...trailers }, { endStream: true })
      return
    }
    stream.once('wantTrailers', () => stream.sendTrailers(trailers))
    stream.end()
  }
  const timer = deadlineTimer(headers, () => {
    finish(deadlineExceeded)
    gone = true
    for (const listener of listeners) listener()
  })
  stream.on('aborted', leave)
  stream.on('close', leave)
  // Told by 'close' too.
  stream.on('error', leave)

  return {
    metadata: Metadata.fromHttp2Headers(headers),
    peer: peerOf(stream),
    host: textOf(headers[constants.HTTP2_HEADER_AUTHORITY]),
    get gone() {
      return gone
    },
    onGone: (listener) => listeners.push(listener),
    requests: () =>
      // Not destroyed when reading stops early: the answer that says why still has to go out.
      messagesOf(stream.iterator({ destroyOnReturn: false }), {
        encoding: textOf(headers['grpc-encoding']) || 'identity',
        bytesMax: messageBytesMax,
      }),
    send(message, signal) {
      const frame = framed(message)
      waiting.push(frame)
      waitingBytes += frame.length
      if (waitingBytes < togetherBytes) {
        flushing ??= setImmediate(flush)
        return ready
      }
      flush()
      if (stream.writableLength < unsentBytesMax) return ready
      return once(stream, 'drain', { signal }).then(() => undefined)
    },
    finish,
  }
}

function trailersOf(failed: CallStatus | undefined): OutgoingHttpHeaders {
  if (failed === undefined) return { 'grpc-status': status.OK }
  return {
    ...failed.metadata?.toHttp2Headers(),
    'grpc-status': failed.code,
    'grpc-message': encodeURI(failed.details.toWellFormed()),
  }
}

const deadlineExceeded: CallStatus = Object.assign(new Error('the deadline has passed'), {
  code: status.DEADLINE_EXCEEDED,
  details: 'the deadline has passed',
})

const unitsMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1 / 1_000,
  n: 1 / 1_000_000,
}

function deadlineTimer(
  headers: IncomingHttpHeaders,
  passed: () => void,
): NodeJS.Timeout | undefined {
  const [, amount, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(textOf(headers['grpc-timeout'])) ?? []
  if (amount === undefined) return undefined
  const timer = setTimeout(passed, Math.min(Number(amount) * (unitsMs[unit] ?? 1), timerMsMax))
  return timer.unref()
}

function peerOf({ session }: ServerHttp2Stream): string {
  const { remoteAddress = 'unknown', remotePort } = session?.socket ?? {}
  return remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`
}
