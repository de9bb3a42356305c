import { EvidenceError } from '../contracts/errors.js'
import type { EventReader } from '../ledger/event-store.js'
import { openStatuses, type ProposalDesk } from '../proposals/proposal.js'
import type { Log } from './log.js'
import type { OpenProposals } from './open-proposals.js'
import { startRetryLoop } from './retry-loop.js'
import type { ProposalRef } from './step-names.js'
import type { WorkflowStarter } from './workflow-starter.js'

export interface ProposalFollowerParts {
  readonly reader: EventReader
  readonly desk: Pick<ProposalDesk, 'advance' | 'get'>
  readonly open: OpenProposals
  /** Absent in a process without execution: proposals move on as far as the ledger goes. */
  readonly starter?: WorkflowStarter
  readonly log: Log
}

export interface ProposalFollower {
  /** Temporal is there anew: what waits is started, what was started is asked for again. */
  executionIsBack(): void
  close(): Promise<void>
}

const prefix = 'proposal-'
const keyOf = ({ project, proposalId }: ProposalRef) => `${project}/${proposalId}`

/**
 * Moves proposals on: decides what waits for a decision, and starts the workflow of what is
 * enqueued. The ledger is the queue: every round asks it anew what is open, so that a stop of this
 * process or an outage of Temporal delays a proposal and never loses it.
 */
export function followProposals({
  reader,
  desk,
  open,
  starter,
  log,
}: ProposalFollowerParts): ProposalFollower {
  // Both only save work: what they forget is asked for again.
  const advanced = new Set<string>()
  const started = new Set<string>()

  /** True when nothing is left over. `outage` ends the starting of this round: one wait for Temporal is enough. */
  const advance = async (ref: ProposalRef, outage: { seen: boolean }): Promise<boolean> => {
    const key = keyOf(ref)
    const isNew = !advanced.has(key)
    advanced.add(key)
    try {
      const proposal = isNew
        ? await desk.advance(ref.project, ref.proposalId)
        : await desk.get(ref.project, ref.proposalId)
      if (proposal === undefined || !openStatuses.includes(proposal.status)) {
        open.forget(ref)
        advanced.delete(key)
        started.delete(key)
      } else if (proposal.status === 'enqueued' && starter !== undefined && !started.has(key)) {
        if (outage.seen) return false
        await starter.startProposal(ref)
        started.add(key)
      }
      return true
    } catch (error) {
      const code =
        error instanceof EvidenceError
          ? error.code
          : error instanceof Error
            ? error.name
            : typeof error
      if (code === 'EXECUTION_UNAVAILABLE') {
        outage.seen = true
        return false
      }
      advanced.delete(key)
      log.warn('a proposal could not be moved on', { proposal: ref.proposalId, code })
      return false
    }
  }

  const round = startRetryLoop({
    name: 'moving proposals on',
    log,
    async work(signal) {
      let isDone = true
      const outage = { seen: false }
      for (const ref of await open.list()) {
        if (signal.aborted) return true
        isDone = (await advance(ref, outage)) && isDone
      }
      return isDone
    },
  })

  const news = startRetryLoop({
    name: 'following proposals',
    log,
    async work(signal) {
      // What was recorded before is open, or it has ended: the first round sees to all of it.
      const deliveries = reader.subscribe({
        from: reader.size(),
        filter: { streamPrefixes: [prefix] },
        signal,
      })
      advanced.clear()
      round.wake()
      for await (const delivery of deliveries) {
        if (delivery.kind === 'event') {
          const { project, stream } = delivery.event.leaf
          advanced.delete(keyOf({ project, proposalId: stream.slice(prefix.length) }))
        } else round.wake()
      }
      return signal.aborted
    },
  })

  return {
    executionIsBack() {
      started.clear()
      round.wake()
    },
    async close() {
      await Promise.all([news.close(), round.close()])
    },
  }
}
