import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { KeyHistoryView, ReadyView } from '../contracts/http.js'
import { keyHistoryOf } from '../runtime/key-history.js'
import { shownCheckpoint } from '../runtime/proof-view.js'
import type { ApiParts } from './parts.js'
import { asked } from './witnessed-query.js'

const open = { access: 'open' } as const
const tags = ['operation']
const text = 'text/plain; charset=utf-8'

export const health =
  ({ health: look, ledger, witnessed }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/livez',
      {
        config: open,
        schema: {
          tags,
          summary: 'Whether the process answers',
          response: { 200: z.object({ status: z.literal('live') }) },
        },
      },
      async () => ({ status: 'live' as const }),
    )

    app.get(
      '/readyz',
      {
        config: open,
        schema: {
          tags,
          summary: 'Whether the service can do its work, and which parts do',
          response: { 200: ReadyView, 503: ReadyView },
        },
      },
      async (_request, reply) => {
        const { ready, parts } = await look()
        void reply.code(ready ? 200 : 503)
        return { status: ready ? ('ready' as const) : ('not-ready' as const), parts: [...parts] }
      },
    )

    app.get(
      '/checkpoint',
      {
        config: open,
        schema: {
          tags: ['proofs'],
          summary:
            'The latest signed checkpoint (C2SP tlog-checkpoint), with cosignatures of its witnesses',
          querystring: z.strictObject({ witnessed: asked.optional() }),
        },
      },
      async (request, reply) => {
        void reply.type(text).header('cache-control', 'public, max-age=1')
        return shownCheckpoint(ledger.checkpoint(), witnessed, request.query.witnessed).note
      },
    )

    app.get(
      '/v1/checkpoint/key',
      {
        config: open,
        schema: { tags: ['proofs'], summary: 'The verifier key that signs checkpoints' },
      },
      async (_request, reply) => {
        void reply.type(text)
        return `${ledger.vkey}\n`
      },
    )

    app.get(
      '/v1/checkpoint/keys',
      {
        config: open,
        schema: {
          tags: ['proofs'],
          summary: 'Every verifier key that signed checkpoints, with the size from which it did',
          response: { 200: KeyHistoryView },
        },
      },
      async () => keyHistoryOf(ledger, ledger.keys),
    )

    app.get('/openapi.json', { config: open, schema: { hide: true } }, async (_request, reply) => {
      void reply.type('application/json')
      return JSON.stringify(app.swagger())
    })
  }
