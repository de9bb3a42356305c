import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { EventPage } from '../contracts/http.js'
import { LeafStream } from '../contracts/leaf.js'
import { checkStream } from '../ledger/stream-name.js'
import { eventView } from '../runtime/event-view.js'
import { principalOf } from './access.js'
import { cursorTo, numberFromCursor, pageOf, pageQuery } from './pages.js'
import type { ApiParts } from './parts.js'

export const order = z.enum(['oldest', 'newest']).default('oldest')

/** One page of a stream, with the cursor of the next one. */
export async function streamPage(
  ledger: ApiParts['ledger'],
  project: string,
  stream: string,
  query: { limit: number; cursor?: string | undefined; order: 'oldest' | 'newest' },
) {
  const question = { stream, order: query.order }
  const from = numberFromCursor(query.cursor, question)
  const views = []
  for await (const event of ledger.readStream({
    project,
    stream,
    direction: query.order === 'oldest' ? 'forwards' : 'backwards',
    max: query.limit + 1,
    ...(from === undefined ? {} : { from }),
  })) {
    views.push(eventView(event, ledger.origin))
  }
  return pageOf(views, query.limit, (next) => cursorTo(next.revision, question))
}

export const streams =
  ({ ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
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
        return streamPage(ledger, project, stream, request.query)
      },
    )
  }
