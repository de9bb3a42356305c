import type { Server as SocketServer } from 'node:net'
import { EvidenceError } from '../../contracts/errors.js'
import { appending } from './append.js'
import { appendingRecords } from './append-records.js'
import { batchAppending } from './batch-append.js'
import { createCallers } from './caller.js'
import { deleting } from './delete.js'
import { takeConnections } from './connections.js'
import { features } from './features.js'
import { openGroups } from './groups.js'
import { httpRequests } from './http.js'
import { createHttp2Calls } from './http2-calls.js'
import { ledgerMethods } from './ledger-methods.js'
import type { GrpcParts, MethodParts } from './parts.js'
import { peerKeys } from './peer-keys.js'
import { persistent } from './persistent.js'
import { reading } from './read.js'
import type { CallWatch, Method } from './rpc.js'
import { createWorkerCallers } from './worker-caller.js'

/** How long calls may take to end when the server does. */
const drainMs = 1_000

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
 * Serves the protocol of EventStoreDB, and the few requests that its clients send over HTTP/1, on one port.
 *
 * @throws EvidenceError ADDRESS_IN_USE.
 */
export async function startGrpcServer(parts: GrpcParts, listen: GrpcListen): Promise<GrpcServer> {
  const callers = createCallers(parts.identities, parts)
  const keys = peerKeys(parts.now)
  const calls = createHttp2Calls()
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
  const all = [
    ...methods(served, () => bound),
    ...persistent(served, groups),
    ...remoteMethods(parts, (peer) => keys.keyOf(peer)),
  ]
  for (const serve of all) serve(calls, watch)
  // TLS is taken off before: then HTTP/1 can be told from what gRPC speaks.
  const connections = takeConnections({
    tls: listen.tls,
    secured: (socket) => keys.note(socket),
    http2: (socket) => calls.take(socket),
    http1: httpRequests(served, () => bound),
  })
  const { listener } = connections
  bound = await bind(listener, bound)
  let closing: Promise<void> | undefined
  const close = async () => {
    const closed = new Promise<void>((resolve) => listener.close(() => resolve()))
    for (const ending of open) ending.abort()
    await groups.end()
    calls.drain()
    const timer = setTimeout(() => connections.destroy(), drainMs)
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

const remoteMethods = (
  { remote, ledger, now }: GrpcParts,
  keyOf: (peer: string) => string | undefined,
): readonly Method[] =>
  remote === undefined
    ? []
    : ledgerMethods({ ...remote, ledger, callers: createWorkerCallers(remote.workers, keyOf, now) })

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
