import type { FastifyReply, FastifyRequest } from 'fastify'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { Uuid } from '../contracts/identifiers.js'
import type { Proposal } from '../proposals/proposal.js'
import { proposalView } from '../runtime/proposal-view.js'
import { principalOf } from './access.js'
import type { ApiParts } from './parts.js'

export const byId = z.strictObject({ id: Uuid })

const etagOf = (proposal: Proposal): string => `"rev-${proposal.revision}"`

/** What the routes of one proposal share: finding it, its tag, and showing it. */
export function proposalAnswers({ desk, ledger }: Pick<ApiParts, 'desk' | 'ledger'>) {
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
  return { answer, existing, checkMatch }
}
