import {
  proposalCancelled,
  proposalCompleted,
  proposalExpired,
  proposalFailed,
  proposalRejected,
  proposalSubmitted,
  proposalWithdrawn,
} from '../contracts/proposal.js'
import type { EventReader } from '../ledger/event-store.js'
import { createFold } from '../ledger/fold.js'
import type { ProposalRef } from './step-names.js'

const endings = [
  proposalCancelled,
  proposalCompleted,
  proposalExpired,
  proposalFailed,
  proposalRejected,
  proposalWithdrawn,
]
const prefix = 'proposal-'

/** The proposals of every project that may still wait for something, oldest first. */
export interface OpenProposals {
  list(): Promise<readonly ProposalRef[]>
  /** Drops one that was found to have ended in a way its events do not show by their type. */
  forget(ref: ProposalRef): void
}

/** Folds the set from the ledger: nothing is waiting because somebody remembers it. */
export function createOpenProposals(reader: EventReader): OpenProposals {
  const keyOf = ({ project, proposalId }: ProposalRef) => `${project}/${proposalId}`
  const open = new Map<string, ProposalRef>()
  const fold = createFold(reader, {
    filter: {
      streamPrefixes: [prefix],
      types: [proposalSubmitted, ...endings].map(({ type }) => type),
    },
    initial: open,
    evolve: (state, { leaf }) => {
      const ref = { project: leaf.project, proposalId: leaf.stream.slice(prefix.length) }
      if (leaf.type === proposalSubmitted.type) state.set(keyOf(ref), ref)
      else state.delete(keyOf(ref))
      return state
    },
  })
  return {
    list: async () => [...(await fold.current()).values()],
    forget: (ref) => void open.delete(keyOf(ref)),
  }
}
