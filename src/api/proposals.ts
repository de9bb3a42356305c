import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import {
  ProposalPage,
  ProposalRequest,
  ProposalStatus,
  ProposalView,
  SimulationView,
} from '../contracts/http.js'
import { AssetId } from '../contracts/identifiers.js'
import { proposalSummary } from '../runtime/proposal-view.js'
import { principalOf, proposers } from './access.js'
import { eventIdOf } from './idempotency.js'
import { cursorTo, fromCursor, pageOf, pageQuery } from './pages.js'
import type { ApiParts } from './parts.js'
import { byId, proposalAnswers } from './proposal-answer.js'

const tags = ['proposals']

const listQuery = z.strictObject({
  ...pageQuery,
  /** One or more statuses, separated by commas. */
  status: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(ProposalStatus).max(ProposalStatus.options.length))
    .optional(),
  asset_id: AssetId.optional(),
})

export const proposals =
  ({ desk, ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const { answer, existing } = proposalAnswers({ desk, ledger })

    app.post(
      '/v1/proposals',
      {
        config: { access: proposers },
        schema: {
          tags,
          summary: 'Propose a change',
          body: ProposalRequest,
          response: { 201: ProposalView },
        },
      },
      async (request, reply) => {
        const proposal = await desk.submit(principalOf(request), {
          id: eventIdOf(request),
          body: request.body,
        })
        void reply.code(201).header('location', `/v1/proposals/${proposal.id}`)
        return answer(request, reply, proposal)
      },
    )

    app.post(
      '/v1/proposals/simulate',
      {
        config: { access: proposers },
        schema: {
          tags,
          summary: 'Ask policy what it would say; nothing is recorded',
          body: ProposalRequest,
          response: { 200: SimulationView },
        },
      },
      async (request) => desk.simulate(principalOf(request), request.body),
    )

    app.get(
      '/v1/proposals',
      {
        schema: {
          tags,
          summary: 'Proposals, newest first',
          querystring: listQuery,
          response: { 200: ProposalPage },
        },
      },
      async (request) => {
        const { limit, cursor, status, asset_id: assetId } = request.query
        const question = { status, assetId }
        const all = await desk.list(principalOf(request).project, {
          ...(status === undefined ? {} : { statuses: status }),
          ...(assetId === undefined ? {} : { assetId }),
        })
        const after = fromCursor(cursor, question)
        // Position by submission, not by index: proposals that arrive meanwhile shift nothing.
        const rest =
          after === undefined
            ? all
            : all.slice(all.findIndex((one) => `${one.submittedAt} ${one.id}` <= after))
        return pageOf(rest.slice(0, limit + 1).map(proposalSummary), limit, (next) =>
          cursorTo(`${next.submitted_at} ${next.id}`, question),
        )
      },
    )

    app.get(
      '/v1/proposals/:id',
      {
        schema: {
          tags,
          summary: 'One proposal with everything that happened',
          params: byId,
          response: { 200: ProposalView },
        },
      },
      async (request, reply) => answer(request, reply, await existing(request, request.params.id)),
    )
  }
