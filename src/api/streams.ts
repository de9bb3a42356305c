import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { EventPage } from '../contracts/http.js'
import { isReserved } from '../contracts/identifiers.js'
import { LeafStream } from '../contracts/leaf.js'
import { operationOn, requireListed, type StreamUser } from '../ledger/stream-access.js'
import { checkStream, describedStream, isMetadataStream } from '../ledger/stream-name.js'
import { eventView } from '../runtime/event-view.js'
import { principalOf } from './access.js'
import { cursorTo, numberFromCursor, pageOf, pageQuery } from './pages.js'
import type { ApiParts } from './parts.js'
import { asked } from './witnessed-query.js'

export const order = z.enum(['oldest', 'newest']).default('oldest')

/** One page of a stream, with the cursor of the next one. */
export async function streamPage(
  ledger: ApiParts['ledger'],
  project: string,
  stream: string,
  query: {
    limit: number
    cursor?: string | undefined
    order: 'oldest' | 'newest'
    hidden?: boolean | undefined
  },
) {
  const { hidden = false } = query
  const question = { stream, order: query.order, ...(hidden ? { hidden } : {}) }
  const from = numberFromCursor(query.cursor, question)
  const views = []
  for await (const event of ledger.readStream({
    project,
    stream,
    direction: query.order === 'oldest' ? 'forwards' : 'backwards',
    max: query.limit + 1,
    hidden,
    ...(from === undefined ? {} : { from }),
  })) {
    views.push(eventView(event, ledger.origin))
  }
  return pageOf(views, query.limit, (next) => cursorTo(next.revision, question))
}

/** By the access list of the stream. @throws EvidenceError ACCESS_DENIED. */
export async function requireReading(
  ledger: ApiParts['ledger'],
  user: StreamUser & { readonly project: string },
  stream: string,
): Promise<void> {
  if (isReserved(stream) && !isMetadataStream(stream)) return
  const { metadata } = (await ledger.streamMetadata(user.project, describedStream(stream))) ?? {}
  requireListed(metadata, operationOn(stream, 'read'), stream, user)
}

export const streams =
  ({ ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/streams/:stream',
      {
        schema: {
          tags: ['events'],
          summary:
            'The events of one stream, in order; hidden=true also shows what its metadata hides',
          params: z.strictObject({ stream: LeafStream }),
          querystring: z.strictObject({ ...pageQuery, order, hidden: asked.optional() }),
          response: { 200: EventPage },
        },
      },
      async (request) => {
        const user = principalOf(request)
        const { project } = user
        const { stream } = request.params
        checkStream(project, stream)
        await requireReading(ledger, user, stream)
        if ((await ledger.lastRevision(project, stream, request.query.hidden)) === undefined)
          throw new EvidenceError(
            'STREAM_NOT_FOUND',
            `the stream ${stream} has no event that is shown`,
          )
        return streamPage(ledger, project, stream, request.query)
      },
    )
  }
