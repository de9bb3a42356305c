import type { IncomingMessage, ServerResponse } from 'node:http'
import { type RawLeafWriter, rawLeafBytesMax } from '../ledger/raw-leaf.js'
import type { ApiCounters } from './metrics.js'
import { securityHeaders } from './portal.js'
import { problemAnswer } from './problem.js'

/** How long a caller whom the framework let in is not looked up again: a revocation takes so long to be felt here. */
const admittedMs = 1_000
const admittedMax = 1_024

/**
 * The usual `POST /add` beside the framework, which would cost more than the leaf: one body of known length
 * from a caller who was let in a moment ago. Everything else, and every doubt, goes the long way.
 */
export interface RawLeafLane {
  /** The framework has let in who sends these headers. */
  admit(headers: IncomingMessage['headers']): void
  /** Takes the request, or leaves it untouched and answers false. */
  take(request: IncomingMessage, response: ServerResponse): boolean
}

const callerOf = ({ host = '', authorization }: IncomingMessage['headers']): string | undefined =>
  authorization === undefined ? undefined : `${host}\n${authorization}`

export function createRawLeafLane(
  writer: RawLeafWriter,
  counters: ApiCounters,
  now: () => number = Date.now,
): RawLeafLane {
  const admitted = new Map<string, number>()

  const isUsual = ({ method, url, headers }: IncomingMessage): boolean => {
    if (method !== 'POST' || url !== '/add' || headers.expect !== undefined) return false
    const length = Number(headers['content-length'] ?? 0)
    if (!(length > 0 && length <= rawLeafBytesMax)) return false
    const until = admitted.get(callerOf(headers) ?? '')
    return until !== undefined && now() < until
  }
  const answer = async (leaf: Buffer, response: ServerResponse) => {
    try {
      const index = await writer.addRaw(leaf)
      respond(response, 200, text, String(index))
    } catch (error) {
      const { status, headers, body } = problemAnswer(error, '/add')
      respond(response, status, { ...securityHeaders, ...headers }, body)
    }
  }

  return {
    admit(headers) {
      const caller = callerOf(headers)
      if (caller === undefined) return
      if (admitted.size >= admittedMax) admitted.clear()
      admitted.set(caller, now() + admittedMs)
    },
    take(request, response) {
      if (!isUsual(request)) return false
      const began = performance.now()
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      // A caller who goes away before the end begins nothing.
      request.on('end', () => {
        const [first] = chunks
        const leaf = first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)
        void answer(leaf, response).then(() => {
          const seconds = (performance.now() - began) / 1000
          counters.request('POST', '/add', response.statusCode, seconds)
        })
      })
      return true
    },
  }
}

const text = { ...securityHeaders, 'content-type': 'text/plain; charset=utf-8' }

function respond(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): void {
  const length = { 'content-length': String(Buffer.byteLength(body)) }
  response.writeHead(status, { ...headers, ...length })
  response.end(body)
}
