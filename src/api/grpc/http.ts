import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { Metadata } from '@grpc/grpc-js'
import { EvidenceError, type ErrorKind } from '../../contracts/errors.js'
import { recorders } from '../access.js'
import { serverVersion } from './features.js'
import type { MethodParts } from './parts.js'
import { appendProposed } from './proposed-events.js'
import { appendBytesMax, ProtocolError } from './status.js'
import { uuidIn } from './stored-messages.js'

/**
 * The few requests that clients of EventStoreDB and those who watch over it send over HTTP: whether it lives,
 * who leads, and an append of one event. Everything else is not found.
 */
export function httpRequests(
  parts: MethodParts,
  address: () => { readonly host: string; readonly port: number },
): RequestListener {
  const instance = parts.newId()
  const fixed: Readonly<Record<string, () => unknown>> = {
    '/ping': () => ({ msgTypeId: pingMessage, text: 'Ping request successfully handled' }),
    '/info': () => ({
      dbVersion: serverVersion,
      esVersion: serverVersion,
      state: 'leader',
      features: { projections: false, userManagement: false, atomPub: false },
      authentication: { type: 'basic' },
    }),
    '/gossip': () => gossip(instance, parts.now(), address()),
  }
  return (request, response) => {
    const [pathname = '/'] = (request.url ?? '/').split('?', 1)
    const isGet = request.method === 'GET' || request.method === 'HEAD'
    const answer = isGet ? fixed[pathname] : undefined
    const [, stream] = /^\/streams\/([^/]+)$/.exec(pathname) ?? []
    // Nothing waits for a body that nobody reads.
    if (answer !== undefined) send(response, 200, answer())
    else if (isGet && pathname === '/health/live') send(response, 204)
    else if (request.method === 'POST' && stream !== undefined)
      void append(parts, stream, request, response).catch((error: unknown) => {
        parts.log.error('a request of HTTP failed', { error: String(error) })
        if (!response.headersSent) send(response, 500, { message: 'the server failed' })
      })
    else send(response, 404, { message: `${pathname} is not offered by this server` })
  }
}

/** The number of this message in the protocol that was before gRPC. */
const pingMessage = 15

const gossip = (
  instanceId: string,
  nowMs: number,
  { host, port }: { readonly host: string; readonly port: number },
) => ({
  members: [
    {
      instanceId,
      timeStamp: new Date(nowMs).toISOString(),
      state: 'Leader',
      isAlive: true,
      httpEndPointIp: host,
      httpEndPointPort: port,
      isReadOnlyReplica: false,
    },
  ],
  serverIp: host,
  serverPort: port,
})

function send(response: ServerResponse, status: number, body?: unknown, location?: string): void {
  if (location !== undefined) response.setHeader('location', location)
  response.setHeader('connection', 'close')
  if (body === undefined) {
    response.writeHead(status).end()
    return
  }
  const text = JSON.stringify(body)
  response
    .writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
    })
    .end(text)
}

const statusOfKind: Readonly<Partial<Record<ErrorKind, number>>> = {
  unauthenticated: 401,
  forbidden: 403,
  missing: 404,
  'too-large': 413,
  busy: 503,
  unavailable: 503,
}

/** One event, its type and id in headers, its data as the body. */
async function append(
  parts: MethodParts,
  stream: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const metadata = new Metadata()
    const { authorization, 'content-type': contentType = 'application/json' } = request.headers
    if (authorization !== undefined) metadata.set('authorization', authorization)
    const caller = await parts.callers.require(metadata, recorders)
    const type = header(request, 'es-eventtype')
    if (type === undefined)
      throw new EvidenceError('REQUEST_INVALID', 'the header ES-EventType names no type')
    const id = uuidIn({ text: header(request, 'es-eventid') ?? parts.newId() })
    const name = decodedName(stream)
    const data = await bodyOf(request)
    const event = { id, type, contentType, data, metadata: new Uint8Array(0) }
    const { revision } = await appendProposed(parts, caller, {
      stream: name,
      expected: 'any',
      events: [event],
    })
    send(response, 201, undefined, `/streams/${stream}/${revision ?? 0}`)
  } catch (error) {
    if (error instanceof ProtocolError)
      send(response, error.exception === 'access-denied' ? 403 : 400, { message: error.message })
    else if (error instanceof EvidenceError)
      send(response, statusOfKind[error.kind] ?? 400, { message: error.message })
    else throw error
  }
}

function header({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.[0]
}

function decodedName(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch (cause) {
    throw new EvidenceError('STREAM_INVALID', 'the name of the stream is no URL', { cause })
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > appendBytesMax)
      throw new EvidenceError('REQUEST_TOO_LARGE', `a body has at most ${appendBytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
