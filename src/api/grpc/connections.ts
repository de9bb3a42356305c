import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer, type Server as SocketServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'

const connectionsMax = 1_024
/** A connection that has not said by then what it speaks is ended. */
const firstBytesMs = 10_000
const headersMs = 10_000
const requestMs = 60_000
const tlsHandshakeByte = 0x16
/** How HTTP/2 without TLS begins; no request of HTTP/1 does. */
const http2Begins = Buffer.from('PRI')

export interface Connections {
  readonly listener: SocketServer
  /** Ends what is still open. */
  destroy(): void
}

/**
 * One port for all that speaks HTTP: with TLS and without, told apart by the first byte, HTTP/2 for calls and
 * HTTP/1 for requests, told apart by what TLS has agreed on, or by the first three bytes.
 */
export function takeConnections(to: {
  readonly tls: { readonly certificate: Uint8Array; readonly key: Uint8Array } | undefined
  /** Sees every connection with TLS before anything it carries. */
  readonly secured: (socket: TLSSocket) => void
  readonly http2: (socket: Socket) => void
  readonly http1: RequestListener
}): Connections {
  const sockets = new Set<Socket>()
  const http = createHttpServer({ headersTimeout: headersMs, requestTimeout: requestMs }, to.http1)
  const http1 = (socket: Socket) => void http.emit('connection', socket)
  const tls =
    to.tls === undefined
      ? undefined
      : secured(to.tls, { http1, http2: to.http2, opened: to.secured })
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    firstBytes(socket, (bytes) => {
      if (bytes[0] === tlsHandshakeByte) {
        if (tls === undefined) socket.destroy()
        else tls(socket)
      } else if (http2Begins.equals(bytes.subarray(0, http2Begins.length))) to.http2(socket)
      else http1(socket)
    })
  })
  listener.maxConnections = connectionsMax
  return {
    listener,
    destroy() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

function secured(
  { certificate, key }: { readonly certificate: Uint8Array; readonly key: Uint8Array },
  to: {
    readonly opened: (socket: TLSSocket) => void
    readonly http1: (socket: Socket) => void
    readonly http2: (socket: Socket) => void
  },
): (socket: Socket) => void {
  const server = createTlsServer({
    cert: Buffer.from(certificate),
    key: Buffer.from(key),
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: firstBytesMs,
    // Asked of every client and needed of none; whether a key counts is judged call by call.
    requestCert: true,
    rejectUnauthorized: false,
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => socket.destroy())
    to.opened(socket)
    if (socket.alpnProtocol === 'h2') to.http2(socket)
    else to.http1(socket)
  })
  server.on('tlsClientError', (_, socket) => socket.destroy())
  return (socket) => void server.emit('connection', socket)
}

/** Looks at the first bytes of a connection, as many as it takes to tell, and leaves them there. */
function firstBytes(socket: Socket, then: (bytes: Buffer) => void): void {
  const timer = setTimeout(() => socket.destroy(), firstBytesMs)
  socket.once('close', () => clearTimeout(timer))
  let seen = Buffer.alloc(0)
  const look = () => {
    const chunk = socket.read() as Buffer | null
    if (chunk !== null) seen = Buffer.concat([seen, chunk])
    const isEnough = seen[0] === tlsHandshakeByte || seen.length >= http2Begins.length
    if (!isEnough) {
      socket.once('readable', look)
      return
    }
    clearTimeout(timer)
    socket.unshift(seen)
    then(seen)
  }
  socket.once('readable', look)
}
