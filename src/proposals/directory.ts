import type { EventReader } from '../ledger/event-store.js'
import { createFold } from '../ledger/fold.js'
import { evolve, proposalStream } from './aggregate.js'
import type { Proposal, ProposalStatus } from './proposal.js'

export interface ProposalFilter {
  readonly statuses?: readonly ProposalStatus[]
  readonly assetId?: string
}

/** Every proposal, folded from the ledger. */
export interface ProposalDirectory {
  get(project: string, id: string): Promise<Proposal | undefined>
  /** Newest first. */
  list(project: string, filter?: ProposalFilter): Promise<readonly Proposal[]>
}

const keyOf = (project: string, stream: string) => `${project}/${stream}`

/** By time of submission, then by id: an order in which a page can be gone on from. */
const newerFirst = (a: Proposal, b: Proposal): number =>
  `${a.submittedAt} ${a.id}` < `${b.submittedAt} ${b.id}` ? 1 : -1

export function createProposalDirectory(reader: EventReader): ProposalDirectory {
  const fold = createFold<Map<string, Proposal>>(reader, {
    filter: { streamPrefixes: [proposalStream('')] },
    initial: new Map(),
    evolve(proposals, event) {
      const key = keyOf(event.leaf.project, event.leaf.stream)
      const proposal = evolve(proposals.get(key), event)
      if (proposal !== undefined) proposals.set(key, proposal)
      return proposals
    },
  })
  return {
    get: async (project, id) => (await fold.current()).get(keyOf(project, proposalStream(id))),
    async list(project, { statuses, assetId } = {}) {
      return [...(await fold.current()).values()]
        .filter(
          (proposal) =>
            proposal.project === project &&
            (statuses === undefined || statuses.includes(proposal.status)) &&
            (assetId === undefined || proposal.assetIds.includes(assetId)),
        )
        .sort(newerFirst)
    },
  }
}
