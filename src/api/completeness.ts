import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { Decimal, Instant } from '../contracts/identifiers.js'
import { LeafName, LeafStream } from '../contracts/leaf.js'
import { checkStream } from '../ledger/stream-name.js'
import { streamProofOf, windowProofOf } from '../runtime/completeness-view.js'
import { principalOf } from './access.js'
import type { ApiParts } from './parts.js'

export const completeness =
  ({ ledger, heads }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const parts = { reader: ledger, proofs: ledger, heads }

    app.get(
      '/v1/streams/:stream/proof',
      {
        schema: {
          tags: ['proofs'],
          summary:
            'The proof that no event of a stream is left out (schemas/stream-proof.v1.json), to be verified without us; from and to name revisions',
          params: z.strictObject({ stream: LeafStream }),
          querystring: z.strictObject({ from: Decimal.optional(), to: Decimal.optional() }),
        },
      },
      async (request, reply) => {
        const { project } = principalOf(request)
        const { stream } = request.params
        const { from, to } = request.query
        checkStream(project, stream)
        void reply.type('application/json')
        return streamProofOf(parts, {
          project,
          stream,
          ...(from === undefined ? {} : { from: Number(from) }),
          ...(to === undefined ? {} : { to: Number(to) }),
        })
      },
    )

    app.get(
      '/v1/events/proof',
      {
        schema: {
          tags: ['proofs'],
          summary:
            'The proof that no event of one type is left out of a window of ledger time (schemas/window-proof.v1.json), to be verified without us',
          querystring: z.strictObject({ type: LeafName, from: Instant, to: Instant }),
        },
      },
      async (request, reply) => {
        const { project } = principalOf(request)
        void reply.type('application/json')
        return windowProofOf(parts, { project, ...request.query })
      },
    )
  }
