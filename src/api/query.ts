import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { QueryRequest, QueryResponse } from '../contracts/http.js'
import { Decimal } from '../contracts/identifiers.js'
import { queryProofOf } from '../runtime/query-proof-view.js'
import { administrators } from './access.js'
import type { ApiParts } from './parts.js'

const Progress = z.object({
  head: Decimal,
  tables: z.array(z.object({ table: z.string(), position: Decimal })),
})

/** Below it every event is in every table. @throws EvidenceError WAREHOUSE_UNAVAILABLE where none is folded. */
export async function foldedPosition(projections: ApiParts['projections']): Promise<number> {
  await projections.refresh?.()
  const position = Math.min(...projections.progress().map((table) => table.position))
  if (!Number.isFinite(position))
    throw new EvidenceError('WAREHOUSE_UNAVAILABLE', 'the fact tables are not there yet')
  return position
}

export const query =
  ({ queries, projections, ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const progress = () => ({
      head: String(ledger.size()),
      tables: projections
        .progress()
        .map(({ table, position }) => ({ table, position: String(position) })),
    })

    app.post(
      '/v1/query',
      {
        schema: {
          tags: ['facts'],
          summary: 'Read-only SQL on the fact tables',
          body: QueryRequest,
          response: { 200: QueryResponse },
        },
      },
      async (request) => {
        const { sql, parameters, proof } = request.body
        // Read before the rows are: what was folded by then is in them.
        const position = await foldedPosition(projections)
        const rows = await queries.query(sql, parameters)
        const proven = proof
          ? await queryProofOf(
              { reader: ledger, proofs: ledger },
              { sql, parameters, position, rows },
            )
          : undefined
        return {
          // Cells are JSON by their type; they only forbid to change it, and nobody does.
          rows: rows as z.infer<typeof QueryResponse>['rows'],
          position: String(position),
          ...(proven === undefined ? {} : { proof: proven }),
        }
      },
    )

    app.get(
      '/v1/projections',
      {
        schema: {
          tags: ['facts'],
          summary: 'How far every fact table was folded',
          response: { 200: Progress },
        },
      },
      async () => {
        await projections.refresh?.()
        return progress()
      },
    )

    app.post(
      '/v1/projections/rebuild',
      {
        config: { access: administrators },
        schema: {
          tags: ['facts'],
          summary: 'Fold every fact table anew from the first event',
          response: { 202: Progress },
        },
      },
      async (_request, reply) => {
        await projections.rebuild()
        void reply.code(202)
        return progress()
      },
    )
  }
