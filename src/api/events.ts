import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { ConsistencyView, EventPage, EventView } from '../contracts/http.js'
import { Decimal, Uuid } from '../contracts/identifiers.js'
import { LeafName, LeafStream } from '../contracts/leaf.js'
import { base64Of } from '../ledger/encoding.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { checkStream } from '../ledger/stream-name.js'
import { eventView } from '../runtime/event-view.js'
import { proofOf } from '../runtime/proof-view.js'
import { principalOf } from './access.js'
import { cursorTo, numberFromCursor, pageOf, pageQuery } from './pages.js'
import type { ApiParts } from './parts.js'

const byId = z.strictObject({ id: Uuid })
const order = z.enum(['oldest', 'newest']).default('oldest')
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
})

async function collect(events: AsyncIterable<RecordedEvent>): Promise<RecordedEvent[]> {
  const all: RecordedEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

export const events =
  ({ ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const found = async (project: string, id: string): Promise<RecordedEvent> => {
      const event = await ledger.find(id)
      if (event?.leaf.project === project) return event
      throw new EvidenceError('EVENT_NOT_FOUND', `there is no event ${id}`)
    }
    const readStream = async (
      project: string,
      stream: string,
      query: { limit: number; cursor?: string | undefined; order: 'oldest' | 'newest' },
    ) => {
      const question = { stream, order: query.order }
      const from = numberFromCursor(query.cursor, question)
      const events = await collect(
        ledger.readStream({
          project,
          stream,
          direction: query.order === 'oldest' ? 'forwards' : 'backwards',
          max: query.limit + 1,
          ...(from === undefined ? {} : { from }),
        }),
      )
      const views = events.map((event) => eventView(event, ledger.origin))
      return pageOf(views, query.limit, (next) => cursorTo(next.revision, question))
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
          return readStream(project, stream, request.query)
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
        },
      },
      async (request, reply) => {
        const event = await found(principalOf(request).project, request.params.id)
        void reply
          .type('application/json')
          .header('content-disposition', `attachment; filename="${event.leaf.id}.proof.json"`)
        return proofOf(event, ledger, [ledger.vkey])
      },
    )

    app.get(
      '/v1/streams/:stream',
      {
        schema: {
          tags: ['events'],
          summary: 'The events of one stream, in order',
          params: z.strictObject({ stream: LeafStream }),
          querystring: z.strictObject({ ...pageQuery, order }),
          response: { 200: EventPage },
        },
      },
      async (request) => {
        const { project } = principalOf(request)
        const { stream } = request.params
        checkStream(project, stream)
        if ((await ledger.lastRevision(project, stream)) === undefined)
          throw new EvidenceError('STREAM_NOT_FOUND', `the stream ${stream} has no event`)
        return readStream(project, stream, request.query)
      },
    )

    app.get(
      '/v1/consistency',
      {
        schema: {
          tags: ['proofs'],
          summary: 'RFC 6962 proof that the tree of one size grew into that of another',
          querystring: z.strictObject({ from: Decimal, to: Decimal }),
          response: { 200: ConsistencyView },
        },
      },
      async (request) => {
        const { from, to } = request.query
        const proof = await ledger.proveConsistency(Number(from), Number(to))
        return { from, to, proof: proof.map(base64Of) }
      },
    )
  }
