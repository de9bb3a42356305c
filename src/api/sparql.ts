import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { FastifyReply, FastifyRequest } from 'fastify'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { type AnswerType, graphTypes, tableTypes } from '../ontology/graph-queries.js'
import { checkSparql, queryBytesMax } from '../ontology/sparql-query.js'
import { accepted } from './accept.js'
import { principalOf } from './access.js'
import type { ApiParts } from './parts.js'
import { problemAnswer, replyWithProblem } from './problem.js'

const queryType = 'application/sparql-query'
const formType = 'application/x-www-form-urlencoded'
/** A form writes a byte as three characters at most. */
const bodyBytesMax = 3 * queryBytesMax + 1_024

const Asked = z.strictObject({ query: z.string().min(1) })

/** The SPARQL 1.1 protocol, reading only: over the graphs of the newest events of the caller's project. */
export const sparql =
  ({ graphs }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (request: FastifyRequest, reply: FastifyReply, query: string) => {
      const form = checkSparql(query)
      const isTable = form === 'SELECT' || form === 'ASK'
      const type: AnswerType = isTable
        ? accepted(request.headers.accept, tableTypes)
        : accepted(request.headers.accept, graphTypes)
      const { text, position, from } = await graphs.ask(principalOf(request).project, query, type)
      return reply
        .header('vary', 'accept')
        .header('fractalops-position', String(position))
        .header('fractalops-from', String(from))
        .type(`${type}; charset=utf-8`)
        .serializer(String)
        .send(text)
    }

    // Bodies are texts here: what they ask is read below.
    app.addContentTypeParser<string>(
      [queryType, formType],
      { parseAs: 'string', bodyLimit: bodyBytesMax },
      async (_request: unknown, body: string) => body,
    )
    // The protocol says 400 for a query that is malformed, where our other routes say 422.
    app.setErrorHandler((error, request, reply) => {
      const path = request.url.split('?')[0] ?? request.url
      const { status, headers, body } = problemAnswer(error, path)
      if (status !== 422) return replyWithProblem(error, request, reply)
      const problem = { ...(JSON.parse(body) as object), status: 400 }
      return reply.code(400).headers(headers).serializer(String).send(JSON.stringify(problem))
    })

    app.get(
      '/sparql',
      {
        schema: {
          tags: ['lineage'],
          summary: 'SPARQL 1.1 query over the newest events: SELECT, ASK, CONSTRUCT, DESCRIBE',
          querystring: Asked,
        },
      },
      (request, reply) => answer(request, reply, request.query.query),
    )

    app.post(
      '/sparql',
      {
        schema: {
          tags: ['lineage'],
          summary: `The same, with the query as ${queryType} or in a form`,
          body: z.string().max(bodyBytesMax),
        },
      },
      (request, reply) => {
        const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase()
        return answer(request, reply, type === queryType ? request.body : fieldOf(request.body))
      },
    )
  }

/** The one field of a form; others would change which data is asked, and here it is always the same. */
function fieldOf(body: string): string {
  const fields = [...new URLSearchParams(body)]
  const [first] = fields
  if (fields.length === 1 && first?.[0] === 'query') return first[1]
  throw new EvidenceError('REQUEST_INVALID', 'the form holds exactly one field, "query"', {
    fields: fields
      .filter(([name]) => name !== 'query')
      .map(([name]) => ({ pointer: `/${name.slice(0, 100)}`, detail: 'is not taken here' })),
  })
}
