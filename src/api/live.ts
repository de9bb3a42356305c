import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { AssetId, Uuid } from '../contracts/identifiers.js'
import { LeafName } from '../contracts/leaf.js'
import { createLiveFeed } from '../runtime/live-feed.js'
import { principalOf } from './access.js'
import type { ApiCounters } from './metrics.js'
import type { ApiParts } from './parts.js'

export const liveClientsMax = 4_096
export const heartbeatMs = 15_000
/** A client that takes nothing for so long is disconnected; it comes back with its Last-Event-ID. */
export const slowClientMs = 10_000
const reconnectMs = 3_000
const typesMax = 64

const liveQuery = z.strictObject({
  proposal: Uuid.optional(),
  asset: AssetId.optional(),
  /** One or more types, separated by commas. */
  types: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(LeafName).max(typesMax))
    .optional(),
  /** First position to send, for clients that cannot set Last-Event-ID. */
  from: z.coerce.number().int().nonnegative().optional(),
})

/** Writes one message and waits until the client took enough; a client that does not is given up. */
async function send(stream: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (stream.write(text)) return
  await once(stream, 'drain', {
    signal: AbortSignal.any([signal, AbortSignal.timeout(slowClientMs)]),
  })
}

/** Where a stream begins, or undefined when the id that a client kept is none of this ledger. */
function beginningOf(
  lastEventId: string | undefined,
  from: number | undefined,
  size: number,
): number | undefined {
  if (lastEventId === undefined) return from === undefined ? size : from <= size ? from : undefined
  const last = /^(0|[1-9][0-9]{0,15})$/.test(lastEventId) ? Number(lastEventId) : Number.NaN
  return last < size ? last + 1 : undefined
}

export const live =
  ({ ledger }: ApiParts, counters: ApiCounters): FastifyPluginAsyncZod =>
  async (app) => {
    const open = new Set<AbortController>()
    const feed = createLiveFeed(ledger)
    app.addHook('preClose', async () => {
      for (const ending of open) ending.abort()
    })

    app.get(
      '/v1/live',
      {
        schema: {
          tags: ['live'],
          summary:
            'portal_live_events as server-sent events: references only; resumes with Last-Event-ID',
          querystring: liveQuery,
        },
      },
      async (request, reply) => {
        if (open.size >= liveClientsMax)
          throw new EvidenceError('LEDGER_BUSY', `${liveClientsMax} live streams are open already`)
        const { project } = principalOf(request)
        const { proposal, asset, types, from } = request.query
        const header = request.headers['last-event-id']
        const begin = beginningOf(Array.isArray(header) ? header[0] : header, from, ledger.size())
        const ending = new AbortController()
        open.add(ending)
        counters.live(1)
        reply.hijack()
        const stream = reply.raw
        stream.on('close', () => ending.abort())
        stream.on('error', () => ending.abort())
        stream.writeHead(200, {
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
          'x-content-type-options': 'nosniff',
        })
        stream.write(
          `retry: ${reconnectMs}\n${begin === undefined ? 'event: reset\ndata: {}\n' : ': open\n'}\n`,
        )
        const heartbeat = setInterval(() => {
          // A client that is slow already gets no heartbeat on top: what waits for it stays bounded.
          if (!stream.writableNeedDrain) stream.write(': hb\n\n')
        }, heartbeatMs)
        try {
          const wish = { project, proposal, asset, types }
          for await (const { position, text } of feed.follow(
            begin ?? ledger.size(),
            wish,
            ending.signal,
          ))
            await send(stream, `id: ${position}\ndata: ${text}\n\n`, ending.signal)
        } catch (error) {
          if (!ending.signal.aborted) request.log.info({ err: error }, 'live client disconnected')
        } finally {
          clearInterval(heartbeat)
          open.delete(ending)
          counters.live(-1)
          stream.destroy()
        }
      },
    )
  }
