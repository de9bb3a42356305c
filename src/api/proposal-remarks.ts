import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { CommentRequest, EndRequest, ProposalView } from '../contracts/http.js'
import { type Access, principalOf, proposers } from './access.js'
import { eventIdOf } from './idempotency.js'
import type { ApiParts } from './parts.js'
import { byId, proposalAnswers } from './proposal-answer.js'

const tags = ['proposals']
const people: Access = ['proposer', 'approver', 'operator']

/** What people say about a proposal without deciding it, and how they take it back. */
export const proposalRemarks =
  ({ desk, ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const { answer, checkMatch } = proposalAnswers({ desk, ledger })

    app.post(
      '/v1/proposals/:id/comments',
      {
        config: { access: people },
        schema: {
          tags,
          summary: 'Comment on a proposal',
          params: byId,
          body: CommentRequest,
          response: { 200: ProposalView },
        },
      },
      async (request, reply) => {
        const comment = { eventId: eventIdOf(request), text: request.body.text }
        return answer(
          request,
          reply,
          await desk.comment(principalOf(request), request.params.id, comment),
        )
      },
    )

    const ends = [
      {
        path: 'withdraw',
        access: proposers,
        summary: 'Take back a proposal of your own before it is decided',
        end: desk.withdraw.bind(desk),
      },
      {
        path: 'cancel',
        access: ['approver', 'operator'] as const,
        summary: 'End an approved proposal before its execution began',
        end: desk.cancel.bind(desk),
      },
    ]
    for (const { path, access, summary, end } of ends) {
      app.post(
        `/v1/proposals/:id/${path}`,
        {
          config: { access },
          schema: {
            tags,
            summary,
            params: byId,
            body: EndRequest.default({ reason: '' }),
            response: { 200: ProposalView },
          },
        },
        async (request, reply) => {
          const params = byId.parse(request.params)
          await checkMatch(request, params.id)
          const ended = await end(principalOf(request), params.id, {
            eventId: eventIdOf(request),
            reason: request.body.reason,
          })
          return answer(request, reply, ended)
        },
      )
    }
  }
