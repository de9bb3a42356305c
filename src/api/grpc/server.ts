import { createServer, type Server as SocketServer, type Socket } from 'node:net'
import { EvidenceError } from '../../contracts/errors.js'
import { appending } from './append.js'
import { appendingRecords } from './append-records.js'
import { batchAppending } from './batch-append.js'
import { createCallers } from './caller.js'
import { deleting } from './delete.js'
import { features } from './features.js'
import { openGroups } from './groups.js'
import { createHttp2Calls } from './http2-calls.js'
import type { GrpcParts, MethodParts } from './parts.js'
import { persistent } from './persistent.js'
import { reading } from './read.js'
import type { CallWatch, Method } from './rpc.js'

const connectionsMax = 1_024
/** A connection that has not said by then what it speaks is ended. */
const firstByteMs = 10_000
/** How long calls may take to end when the server does. */
const drainMs = 1_000
const tlsHandshakeByte = 0x16

export interface GrpcListen {
  readonly host: string
  readonly port: number
  /** Certificate and key in PEM: connections that begin with TLS are taken too. */
  readonly tls?: { readonly certificate: Uint8Array; readonly key: Uint8Array }
}

export interface GrpcServer {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/**
 * Serves the protocol of EventStoreDB. One port takes connections with TLS and without: their first byte
 * tells them apart.
 *
 * @throws EvidenceError ADDRESS_IN_USE.
 */
export async function startGrpcServer(parts: GrpcParts, listen: GrpcListen): Promise<GrpcServer> {
  const callers = createCallers(parts.identities, parts)
  const calls = createHttp2Calls(listen.tls)
  let bound = { host: listen.host, port: listen.port }
  const open = new Set<AbortController>()
  const watch: CallWatch = {
    begin(ending) {
      open.add(ending)
      return () => open.delete(ending)
    },
    failed: (path, error) => parts.log.error('a gRPC call failed', { path, error: String(error) }),
  }
  const groups = openGroups(parts, parts.groups)
  const served = { ...parts, callers }
  for (const serve of [...methods(served, () => bound), ...persistent(served, groups)])
    serve(calls, watch)
  const sockets = new Set<Socket>()
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    firstByte(socket, (byte) => {
      if (byte !== tlsHandshakeByte) calls.take(socket)
      else if (calls.takeSecure === undefined) socket.destroy()
      else calls.takeSecure(socket)
    })
  })
  listener.maxConnections = connectionsMax
  bound = await bind(listener, bound)
  let closing: Promise<void> | undefined
  const close = async () => {
    const closed = new Promise<void>((resolve) => listener.close(() => resolve()))
    for (const ending of open) ending.abort()
    await groups.end()
    calls.drain()
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy()
    }, drainMs)
    await closed
    clearTimeout(timer)
  }
  return { ...bound, close: () => (closing ??= close()) }
}

const methods = (
  parts: MethodParts,
  address: () => { readonly host: string; readonly port: number },
): readonly Method[] => [
  ...features(parts, address),
  reading(parts),
  appending(parts),
  batchAppending(parts),
  ...appendingRecords(parts),
  ...deleting(parts),
]

/** Looks at the first byte of a connection and leaves it there. */
function firstByte(socket: Socket, then: (byte: number) => void): void {
  const timer = setTimeout(() => socket.destroy(), firstByteMs)
  socket.once('close', () => clearTimeout(timer))
  const look = () => {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) {
      socket.once('readable', look)
      return
    }
    clearTimeout(timer)
    socket.unshift(chunk)
    then(chunk[0] ?? 0)
  }
  socket.once('readable', look)
}

function bind(
  listener: SocketServer,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    listener.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === 'EADDRINUSE'
          ? new EvidenceError(
              'ADDRESS_IN_USE',
              `${host}:${port} (gRPC) is taken by another program`,
              { cause },
            )
          : cause,
      ),
    )
    listener.listen(port, host, () => {
      const address = listener.address()
      resolve({ host, port: typeof address === 'object' ? (address?.port ?? port) : port })
    })
  })
}
