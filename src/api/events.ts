import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { EventPage, EventView } from '../contracts/http.js'
import { Uuid } from '../contracts/identifiers.js'
import { LeafName, LeafStream } from '../contracts/leaf.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { eventView } from '../runtime/event-view.js'
import { proofOf, provingUnder, tlogProofOf } from '../runtime/proof-view.js'
import { principalOf } from './access.js'
import { asked } from './witnessed-query.js'
import { cursorTo, numberFromCursor, pageOf, pageQuery } from './pages.js'
import type { ApiParts } from './parts.js'
import { order, streamPage } from './streams.js'

const byId = z.strictObject({ id: Uuid })
const typesMax = 64

const eventsQuery = z.strictObject({
  ...pageQuery,
  order,
  stream: LeafStream.optional(),
  /** One or more types, separated by commas. */
  type: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(LeafName).max(typesMax))
    .optional(),
  /** Only streams of this category. */
  category: z
    .string()
    .regex(/^[^-\s]{1,64}$/)
    .optional(),
  /** Of a stream: also the events that its metadata hides. */
  hidden: asked.optional(),
})

const proofQuery = z.strictObject({
  /** Whether the checkpoint must carry the cosignatures of enough witnesses; absent = where that is at hand. */
  witnessed: asked.optional(),
})

export const events =
  ({ ledger, witnessed }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const found = async (project: string, id: string): Promise<RecordedEvent> => {
      const event = await ledger.find(id)
      if (event?.leaf.project === project) return event
      throw new EvidenceError('EVENT_NOT_FOUND', `there is no event ${id}`)
    }

    app.get(
      '/v1/events',
      {
        schema: {
          tags: ['events'],
          summary: 'Recorded events, in ledger order',
          querystring: eventsQuery,
          response: { 200: EventPage },
        },
      },
      async (request) => {
        const { project } = principalOf(request)
        const { limit, cursor, order, stream, type, category } = request.query
        if (stream !== undefined && type === undefined && category === undefined)
          return streamPage(ledger, project, stream, request.query)
        const question = { order, stream, type, category }
        const from = numberFromCursor(cursor, question)
        const prefixes =
          stream !== undefined ? [stream] : category !== undefined ? [`${category}-`] : undefined
        const filter = {
          project,
          ...(type === undefined ? {} : { types: type }),
          ...(prefixes === undefined ? {} : { streamPrefixes: prefixes }),
        }
        const views = []
        const direction = order === 'oldest' ? ('forwards' as const) : ('backwards' as const)
        for await (const event of ledger.readLog({
          direction,
          filter,
          ...(from === undefined ? {} : { from }),
        })) {
          if (stream === undefined || event.leaf.stream === stream)
            views.push(eventView(event, ledger.origin))
          if (views.length > limit) break
        }
        return pageOf(views, limit, (next) => cursorTo(next.position, question))
      },
    )

    app.get(
      '/v1/events/:id',
      {
        schema: {
          tags: ['events'],
          summary: 'One recorded event',
          params: byId,
          response: { 200: EventView },
        },
      },
      async (request) =>
        eventView(await found(principalOf(request).project, request.params.id), ledger.origin),
    )

    app.get(
      '/v1/events/:id/proof',
      {
        schema: {
          tags: ['proofs'],
          summary:
            'The proof file of one event (schemas/proof-file.v1.json), to be verified without us',
          params: byId,
          querystring: proofQuery,
        },
      },
      async (request, reply) => {
        const event = await found(principalOf(request).project, request.params.id)
        void reply
          .type('application/json')
          .header('content-disposition', `attachment; filename="${event.leaf.id}.proof.json"`)
        const under = provingUnder(ledger, witnessed, request.query.witnessed)
        return proofOf(event, under, ledger.keys, witnessed?.vkeys)
      },
    )

    app.get(
      '/v1/events/:id/tlog-proof',
      {
        schema: {
          tags: ['proofs'],
          summary: 'The proof of one leaf as C2SP tlog-proof: index, path and signed checkpoint',
          params: byId,
          querystring: proofQuery,
        },
      },
      async (request, reply) => {
        const { position, leaf } = await found(principalOf(request).project, request.params.id)
        void reply
          .type('text/plain; charset=utf-8')
          .header('content-disposition', `attachment; filename="${leaf.id}.tlog-proof"`)
        const under = provingUnder(ledger, witnessed, request.query.witnessed)
        return tlogProofOf(position, under, ledger.keys)
      },
    )
  }
