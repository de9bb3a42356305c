import {
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import type { Socket } from 'node:net'
import { status } from '@grpc/grpc-js'
import { type Exchange, openExchange, textOf } from './exchange.js'
import type { MethodTable } from './rpc.js'
import { ProtocolError, statusOf } from './status.js'

/** Calls that one connection may have open. */
const callsMax = 4_096
/** What a client may send ahead of what is read of it. */
const windowBytes = 1024 * 1024

const options: ServerOptions = {
  settings: { maxConcurrentStreams: callsMax, initialWindowSize: windowBytes },
  // What a call holds is bounded call by call.
  maxSessionMemory: Number.MAX_SAFE_INTEGER,
}

/** gRPC over HTTP/2: connections come in, calls go to their methods. */
export interface Http2Calls extends MethodTable {
  /** A connection from which TLS was taken off, if it had any. */
  take(socket: Socket): void
  /** No connection takes a new call; each ends with its last one. */
  drain(): void
}

export function createHttp2Calls(): Http2Calls {
  const methods = new Map<string, (exchange: Exchange) => void>()
  const sessions = new Set<ServerHttp2Session>()
  const answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    if (!textOf(headers['content-type']).startsWith('application/grpc')) {
      stream.respond({ [constants.HTTP2_HEADER_STATUS]: 415 }, { endStream: true })
      return
    }
    const path = textOf(headers[constants.HTTP2_HEADER_PATH])
    const exchange = openExchange(stream, headers)
    const method = methods.get(path)
    if (method === undefined) exchange.finish(statusOf(methodUnknown(path)))
    else method(exchange)
  }
  const watch = (session: ServerHttp2Session) => {
    session.setLocalWindowSize(windowBytes)
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    // A connection that fails ends its calls, which are told.
    session.on('error', () => session.destroy())
  }
  const server = createServer(options)
  server.on('session', watch)
  server.on('stream', answer)
  return {
    register: (path, serve) => methods.set(path, serve),
    take: (socket) => server.emit('connection', socket),
    drain() {
      for (const session of sessions) session.close()
    },
  }
}

const methodUnknown = (path: string) =>
  new ProtocolError(status.UNIMPLEMENTED, 'unsupported', `this server has no method ${path}`)
