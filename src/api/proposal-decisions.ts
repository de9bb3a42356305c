import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { ApprovalRequest, ProposalView, RejectionRequest } from '../contracts/http.js'
import { approvers, principalOf } from './access.js'
import { eventIdOf } from './idempotency.js'
import type { ApiParts } from './parts.js'
import { byId, proposalAnswers } from './proposal-answer.js'

const tags = ['proposals']

/** What approvers say of a proposal, each bound to the digest of what they were shown. */
export const proposalDecisions =
  ({ desk, ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const { answer, checkMatch } = proposalAnswers({ desk, ledger })

    app.post(
      '/v1/proposals/:id/approvals',
      {
        config: { access: approvers },
        schema: {
          tags,
          summary: 'Approve exactly the proposal that was shown',
          params: byId,
          body: ApprovalRequest,
          response: { 200: ProposalView },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const { proposal_digest: proposalDigest, comment } = request.body
        await checkMatch(request, id)
        const approval = {
          eventId: eventIdOf(request),
          proposalDigest,
          ...(comment === undefined ? {} : { comment }),
        }
        return answer(request, reply, await desk.approve(principalOf(request), id, approval))
      },
    )

    app.post(
      '/v1/proposals/:id/rejections',
      {
        config: { access: approvers },
        schema: {
          tags,
          summary: 'Reject the proposal that was shown',
          params: byId,
          body: RejectionRequest,
          response: { 200: ProposalView },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const { proposal_digest: proposalDigest, reason } = request.body
        await checkMatch(request, id)
        return answer(
          request,
          reply,
          await desk.reject(principalOf(request), id, {
            eventId: eventIdOf(request),
            proposalDigest,
            reason,
          }),
        )
      },
    )
  }
