import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import {
  ApprovalRequest,
  CommentRequest,
  EndRequest,
  ProposalPage,
  ProposalRequest,
  ProposalStatus,
  ProposalView,
  RejectionRequest,
  SimulationView,
} from '../contracts/http.js'
import { AssetId, Uuid } from '../contracts/identifiers.js'
import type { Proposal } from '../proposals/proposal.js'
import { proposalSummary, proposalView } from '../runtime/proposal-view.js'
import { type Access, approvers, principalOf, proposers } from './access.js'
import { eventIdOf } from './idempotency.js'
import { cursorTo, fromCursor, pageOf, pageQuery } from './pages.js'
import type { ApiParts } from './parts.js'

const byId = z.strictObject({ id: Uuid })
const people: Access = ['proposer', 'approver', 'operator']
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

const etagOf = (proposal: Proposal): string => `"rev-${proposal.revision}"`

export const proposals =
  ({ desk, ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    const answer = async (request: FastifyRequest, reply: FastifyReply, proposal: Proposal) => {
      void reply.header('etag', etagOf(proposal))
      return proposalView(ledger, principalOf(request), proposal)
    }
    const existing = async (request: FastifyRequest, id: string): Promise<Proposal> => {
      const found = await desk.get(principalOf(request).project, id)
      if (found === undefined)
        throw new EvidenceError('PROPOSAL_NOT_FOUND', `there is no proposal ${id}`)
      return found
    }
    /** Whoever decides on a page that has grown old is told so, and decides again. */
    const checkMatch = async (request: FastifyRequest, id: string) => {
      const wanted = request.headers['if-match']
      if (wanted === undefined || wanted === '*') return
      const present = etagOf(await existing(request, id))
      if (!wanted.split(',').some((tag) => tag.trim() === present)) {
        throw new EvidenceError(
          'PRECONDITION_FAILED',
          `the proposal stands at ${present}, not at ${wanted.slice(0, 100)}`,
        )
      }
    }

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
