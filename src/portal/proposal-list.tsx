import { Link } from '@tanstack/react-router'
import type { ProposalSummary } from '../contracts/http.js'
import { StatusChip, Time } from './parts.js'
import { proposalTitle } from './words.js'

export interface ListedProposal {
  readonly proposal: ProposalSummary
  readonly note: string | null
}

/** Proposals as lines: what, in which status, why it stands here. */
export function ProposalLines({ items }: { readonly items: readonly ListedProposal[] }) {
  return (
    <ul className="lines">
      {items.map(({ proposal, note }) => (
        <li key={proposal.id}>
          <Link to="/proposals/$id" params={{ id: proposal.id }} className="line">
            <span className="line-main">
              <span className="line-title">{proposalTitle(proposal)}</span>
              <StatusChip status={proposal.status} />
            </span>
            <span className="line-reason">{proposal.reason}</span>
            {note === null || note === '' ? null : <span className="line-note">{note}</span>}
            <span className="line-foot">
              {proposal.proposer} · <Time value={proposal.updated_at} />
            </span>
          </Link>
        </li>
      ))}
    </ul>
  )
}
