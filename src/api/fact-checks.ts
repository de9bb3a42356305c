import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { EvidenceError } from '../contracts/errors.js'
import { FactCheckRequest, FactCheckStarted, FactCheckView } from '../contracts/fact-check.js'
import { lastChecks } from '../runtime/fact-check-view.js'
import { type Access, principalOf } from './access.js'
import type { ApiParts } from './parts.js'

const checkers: Access = ['administrator', 'operator', 'auditor']

export const factChecks =
  ({ factChecks: checks, projections, ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const tables = () => projections.progress().map(({ table }) => table)

    app.get(
      '/v1/projections/checks',
      {
        schema: {
          tags: ['facts'],
          summary: 'What the last comparison of every fact table with the ledger found',
          response: { 200: FactCheckView },
        },
      },
      async () => {
        const running = checks?.running() ?? null
        return {
          running:
            running === null
              ? null
              : { position: String(running.position), size: String(running.size) },
          tables: [...(await lastChecks(ledger, tables()))],
        }
      },
    )

    app.post(
      '/v1/projections/checks',
      {
        config: { access: checkers },
        schema: {
          tags: ['facts'],
          summary:
            'Have a workflow compare fact tables with the ledger, row by row; repair writes anew what differs',
          body: FactCheckRequest,
          response: { 202: FactCheckStarted },
        },
      },
      async (request, reply) => {
        const { repair, tables: asked } = request.body
        const { access } = principalOf(request)
        if (repair && !access.some((role) => role === 'administrator' || role === 'operator'))
          throw new EvidenceError('ACCESS_DENIED', 'repair needs the access role operator')
        if (checks === undefined)
          throw new EvidenceError(
            'WAREHOUSE_UNAVAILABLE',
            'this process folds no fact tables, or runs no workflows',
          )
        const known = tables()
        const unknown = (asked ?? []).filter((table) => !known.includes(table))
        if (unknown.length > 0)
          throw new EvidenceError('REQUEST_INVALID', `there is no fact table ${unknown.join(', ')}`)
        const id = `check-facts-${randomUUID()}`
        await checks.request(id, { repair, ...(asked === undefined ? {} : { tables: asked }) })
        void reply.code(202)
        return { check_id: id, tables: asked ?? known }
      },
    )
  }
