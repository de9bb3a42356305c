import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { AuditAnswer, AuditList, AuditParameters } from '../contracts/audit.js'
import { EvidenceError } from '../contracts/errors.js'
import { auditQueries, auditQuery, type AuditQuery } from '../projections/audit-queries.js'
import { timeCell } from '../projections/projector.js'
import { queryProofOf } from '../runtime/query-proof-view.js'
import type { ApiParts } from './parts.js'
import { foldedPosition } from './query.js'

type Given = z.infer<typeof AuditParameters>

export const audit =
  ({ queries, projections, ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/audit',
      {
        schema: {
          tags: ['facts'],
          summary: 'The named audit queries and what each takes',
          response: { 200: AuditList },
        },
      },
      async () => ({
        position: String(await foldedPosition(projections)),
        queries: auditQueries.map(({ name, summary, parameters, population, expects }) => ({
          query: name,
          summary,
          parameters: [...parameters],
          population: population ?? null,
          expects_no_rows: expects === 'no rows',
        })),
      }),
    )

    app.get(
      '/v1/audit/:query',
      {
        schema: {
          tags: ['facts'],
          summary: 'The answer of a named audit query',
          params: z.strictObject({ query: z.string().max(64) }),
          querystring: AuditParameters,
          response: { 200: AuditAnswer },
        },
      },
      async (request) => {
        const query = auditQuery(request.params.query)
        if (query === undefined)
          throw new EvidenceError('NOT_FOUND', `there is no audit query ${request.params.query}`)
        const parameters = parametersOf(query, request.query)
        const position = await foldedPosition(projections)
        const rows = await queries.query(query.sql, parameters)
        const proof =
          request.query.proof === 'true'
            ? await queryProofOf(
                { reader: ledger, proofs: ledger },
                { sql: query.sql, parameters, position, rows },
              )
            : undefined
        const { from, to } = request.query
        return {
          query: query.name,
          summary: query.summary,
          // Cells are JSON by their type; they only forbid to change it, and nobody does.
          rows: rows as AuditAnswer['rows'],
          position: String(position),
          population:
            query.population === undefined || from === undefined || to === undefined
              ? null
              : { type: query.population, from, to },
          as_expected: query.expects === undefined ? null : rows.length === 0,
          ...(proof === undefined ? {} : { proof }),
        }
      },
    )
  }

/** @throws EvidenceError REQUEST_INVALID when one is missing, or is none of the query. */
function parametersOf(
  { name, parameters }: AuditQuery,
  { proof: _, ...given }: Given,
): Record<string, string | number> {
  const bound: Record<string, string | number> = {}
  for (const [parameter, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!parameters.some((one) => one === parameter))
      throw new EvidenceError('REQUEST_INVALID', `the audit query ${name} takes no ${parameter}`)
    const isTime = ['from', 'to', 'at'].includes(parameter)
    bound[parameter] = isTime ? timeCell(String(value)) : value
  }
  const missing = parameters.filter((parameter) => bound[parameter] === undefined)
  if (missing.length > 0)
    throw new EvidenceError(
      'REQUEST_INVALID',
      `the audit query ${name} needs ${missing.join(', ')}`,
    )
  return bound
}
