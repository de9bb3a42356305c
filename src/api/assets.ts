import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { AssetPage, AssetView, WorkflowView } from '../contracts/http.js'
import { AssetId } from '../contracts/identifiers.js'
import { timelineEntry, timelineEventsMax } from '../runtime/timeline.js'
import { principalOf } from './access.js'
import { cursorTo, fromCursor, pageOf, pageQuery } from './pages.js'
import type { ApiParts } from './parts.js'

const At = z
  .union([z.string().regex(/^position:(0|[1-9][0-9]{0,15})$/), z.iso.datetime({ offset: true })])
  .optional()

export const assets =
  ({ assets: views, ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    /** The position that `at` names: events up to and with it count. */
    const positionOf = async (at: string): Promise<number> => {
      if (!at.startsWith('position:')) return views.positionAt(at)
      const position = Number(at.slice('position:'.length))
      if (position < ledger.size()) return position
      throw new EvidenceError('REQUEST_INVALID', `position ${position} is not on the ledger yet`, {
        fields: [{ pointer: '/query/at', detail: `must be below ${ledger.size()}` }],
      })
    }

    app.get(
      '/v1/assets',
      {
        schema: {
          tags: ['assets'],
          summary: 'Registered assets with their last recorded state',
          querystring: z.strictObject(pageQuery),
          response: { 200: AssetPage },
        },
      },
      async (request) => {
        const { limit, cursor } = request.query
        const from = fromCursor(cursor, 'assets')
        const all = (await views.list(principalOf(request).project)).filter(
          (asset) => from === undefined || asset.asset_id >= from,
        )
        return pageOf(all.slice(0, limit + 1), limit, (next) => cursorTo(next.asset_id, 'assets'))
      },
    )

    app.get(
      '/v1/assets/:id',
      {
        schema: {
          tags: ['assets'],
          summary: 'One asset: now, or as of an RFC 3339 time or position:N',
          params: z.strictObject({ id: AssetId }),
          querystring: z.strictObject({ at: At }),
          response: { 200: AssetView },
        },
      },
      async (request) => {
        const { at } = request.query
        return views.get(
          principalOf(request).project,
          request.params.id,
          at === undefined ? undefined : await positionOf(at),
        )
      },
    )

    app.get(
      '/v1/workflows/:id',
      {
        schema: {
          tags: ['workflows'],
          summary: 'What a workflow did, from its stream',
          params: z.strictObject({ id: AssetId }),
          response: { 200: WorkflowView },
        },
      },
      async (request) => {
        const { id } = request.params
        const timeline = []
        for await (const event of ledger.readStream({
          project: principalOf(request).project,
          stream: `workflow-${id}`,
          max: timelineEventsMax,
        })) {
          timeline.push(timelineEntry(event))
        }
        if (timeline.length === 0)
          throw new EvidenceError('STREAM_NOT_FOUND', `no workflow ${id} has begun`)
        const types = new Set(timeline.map(({ type }) => type))
        const status: z.infer<typeof WorkflowView>['status'] = types.has('workflow.completed')
          ? 'completed'
          : types.has('workflow.failed')
            ? 'failed'
            : types.has('workflow.started')
              ? 'running'
              : 'waiting'
        return { workflow_id: id, status, timeline }
      },
    )
  }
