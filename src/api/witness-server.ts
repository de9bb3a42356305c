import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { addCheckpointBytesMax, sizeContentType } from '../ledger/witness-request.js'
import type { Log } from '../runtime/log.js'
import type { Witness, WitnessAnswer } from '../runtime/witness.js'

const requestTimeoutMs = 10_000
/** Requests that may come at once, and how many of these are given back each second. */
const burstMax = 200
const requestsPerSecondMax = 100
const connectionsMax = 256
const retryAfterSeconds = '1'
const text = 'text/plain; charset=utf-8'
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export interface WitnessServerParts {
  readonly witness: Witness
  /** The verifier key of this witness. */
  readonly vkey: string
  /** The last checkpoint cosigned for the origin with this hash, as it is kept. */
  readonly seenByHash: (hash: string) => Promise<string | undefined>
  readonly log: Log
  readonly nowMs: () => number
}

/** C2SP tlog-witness over HTTP. There is no sign-in: a request is worth what the log signed. */
export function buildWitnessServer(parts: WitnessServerParts): FastifyInstance {
  const { witness, vkey, seenByHash, log, nowMs } = parts
  const app = Fastify({
    bodyLimit: addCheckpointBytesMax,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: requestTimeoutMs,
    forceCloseConnections: true,
    return503OnClosing: true,
  })
  app.server.maxConnections = connectionsMax
  app.removeAllContentTypeParsers()
  // The standard names no content type for the request: every one is taken.
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer' },
    async (_request: unknown, body: Buffer) => body,
  )
  const mayGo = createRateBound(nowMs)
  app.addHook('onRequest', async (_request, reply) => {
    if (mayGo()) return
    await reply.code(429).header('retry-after', retryAfterSeconds).type(text).send('slow down\n')
  })
  app.setErrorHandler(async (error, _request, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500
    if (status >= 500) {
      const code = (error as { code?: string }).code ?? 'unknown'
      log.error('the witness could not answer', { code })
    }
    await reply
      .code(status)
      .type(text)
      .send(status >= 500 ? 'the witness cannot answer now\n' : 'the request is not acceptable\n')
  })

  app.post<{ Body: Buffer | undefined }>('/add-checkpoint', async (request, reply) => {
    const answer = await witness.add(decoded(request.body) ?? '')
    if (answer.kind !== 'cosigned' && answer.kind !== 'conflict')
      log.warn('a checkpoint was not cosigned', { because: answer.kind })
    return send(reply, answer)
  })
  app.get<{ Params: { hash: string } }>('/:hash/checkpoint', async (request, reply) => {
    const { hash } = request.params
    const note = /^[0-9a-f]{64}$/.test(hash) ? await seenByHash(hash) : undefined
    void reply.type(text).header('cache-control', 'no-store')
    return note ?? reply.code(404).send('no checkpoint of this origin was cosigned\n')
  })
  app.get('/vkey', async (_request, reply) => reply.type(text).send(`${vkey}\n`))
  return app
}

function decoded(body: Buffer | undefined): string | undefined {
  try {
    return body === undefined ? undefined : decoder.decode(body)
  } catch {
    // No UTF-8 is no request: it is read as an empty one, which is malformed.
    return undefined
  }
}

/** The status map of the standard. */
function send(reply: FastifyReply, answer: WitnessAnswer): FastifyReply {
  void reply.type(text)
  switch (answer.kind) {
    case 'cosigned':
      return reply.code(200).send(answer.lines)
    case 'conflict':
      // Sent as bytes, for a text would be given a charset that the standard does not name.
      return reply
        .code(409)
        .type(sizeContentType)
        .send(Buffer.from(`${answer.size}\n`))
    case 'busy':
      return reply.code(503).header('retry-after', retryAfterSeconds).send('busy\n')
    case 'malformed':
      return reply.code(400).send(`${answer.reason}\n`)
    case 'not-signed':
      return reply.code(403).send(`${answer.reason}\n`)
    case 'unknown-log':
      return reply.code(404).send(`${answer.reason}\n`)
    case 'inconsistent':
      return reply.code(422).send(`${answer.reason}\n`)
  }
}

function createRateBound(nowMs: () => number): () => boolean {
  let left = burstMax
  let last = nowMs()
  return () => {
    const now = nowMs()
    left = Math.min(burstMax, left + ((now - last) / 1000) * requestsPerSecondMax)
    last = now
    if (left < 1) return false
    left -= 1
    return true
  }
}
