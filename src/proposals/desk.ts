import { canonicalText } from '../contracts/canonical-json.js'
import { EvidenceError } from '../contracts/errors.js'
import type { EventContract } from '../contracts/event.js'
import { policySimulated } from '../contracts/policy.js'
import {
  proposalApproved,
  type ProposalBody,
  proposalCancelled,
  proposalCommented,
  proposalEnqueued,
  proposalRejected,
  proposalRouted,
  proposalSubmitted,
  proposalWithdrawn,
} from '../contracts/proposal.js'
import type { EventReader } from '../ledger/event-store.js'
import { dataOf, type Fact, fact } from '../ledger/facts.js'
import type { RecordWriter } from '../ledger/writers.js'
import { isReadyToEnqueue, proposalStream } from './aggregate.js'
import type { Decider } from './decision.js'
import type { ProposalDirectory } from './directory.js'
import type { Ground } from './kind.js'
import { kinds } from './kinds.js'
import * as may from './permissions.js'
import type { Principal, Proposal, ProposalDesk } from './proposal.js'
import { movedSince, presentStates } from './standing-approvals.js'
import { checkSubmission, isRepeated, unrecorded } from './submission.js'

export const defaultProposalTtlMs = 7 * 24 * 60 * 60 * 1_000
/** Actor of the events that move a proposal on without anybody's doing. */
export const moverName = 'ledger-mover'
/** How often a step is tried again because somebody else moved the proposal meanwhile. */
const attemptsMax = 16

export interface DeskParts extends Ground {
  readonly reader: EventReader
  readonly writer: RecordWriter
  readonly proposals: ProposalDirectory
  readonly decider: Pick<Decider, 'decide'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly newId: () => string
  readonly proposalTtlMs?: number
}

/** One step of a person, as it is going to be recorded. */
interface Step<Data> {
  readonly contract: EventContract<Data>
  readonly eventId: string
  /** Checks the step on the proposal as it stands. @throws EvidenceError. */
  readonly decide: (proposal: Proposal) => Data | Promise<Data>
  /** Whether recorded data is of this very request. */
  readonly isSame: (recorded: Data) => boolean
}

const isMoved = (error: unknown): boolean =>
  error instanceof EvidenceError &&
  (error.code === 'REVISION_CONFLICT' || error.code === 'EVENT_ID_REUSED')

const missing = (id: string) =>
  new EvidenceError('PROPOSAL_NOT_FOUND', `there is no proposal ${id}`)

const busy = (id: string) =>
  new EvidenceError('LEDGER_BUSY', `the proposal ${id} is being changed by too many at once`)

/** Everything that people and followers do with proposals; every step is bound to the revision it was decided on. */
export function createProposalDesk(parts: DeskParts): ProposalDesk {
  const { assets, decider, now, proposals } = parts

  const present = async (project: string, id: string): Promise<Proposal> => {
    const proposal = await proposals.get(project, id)
    if (proposal === undefined) throw missing(id)
    return proposal
  }

  const advance = async (project: string, id: string): Promise<Proposal> => {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const proposal = await present(project, id)
      const facts = await nextFacts(parts, proposal)
      if (facts.length === 0) return proposal
      await append(parts, proposal, moverName, facts)
    }
    throw busy(id)
  }

  /** Records a step of a person once, then moves the proposal on. */
  const take = async <Data>(
    principal: Principal,
    id: string,
    step: Step<Data>,
  ): Promise<Proposal> => {
    const { contract, eventId, decide } = step
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const proposal = await present(principal.project, id)
      const recorded = await recordedAs(parts.reader, principal, proposalStream(id), step)
      if (
        recorded ||
        (await append(parts, proposal, principal.name, [
          fact(contract, eventId, await decide(proposal)),
        ]))
      ) {
        return advance(principal.project, id)
      }
    }
    throw busy(id)
  }

  return {
    advance,
    get: (project, id) => proposals.get(project, id),
    list: (project, filter) => proposals.list(project, filter),

    async submit(principal, request) {
      may.propose(principal)
      await submitOnce(parts, principal, request)
      return advance(principal.project, request.id)
    },

    async simulate(principal, body) {
      may.propose(principal)
      return decider.decide(unrecorded(principal, await checkSubmission(parts, principal, body)))
    },

    approve: (principal, id, { eventId, proposalDigest, comment }) => {
      const said = {
        proposal_digest: proposalDigest,
        ...(comment === undefined ? {} : { comment }),
      }
      return take(principal, id, {
        contract: proposalApproved,
        eventId,
        async decide(proposal) {
          const { decision } = may.approve(principal, proposal, proposalDigest, now())
          const moved = movedSince(decision.states, await presentStates(assets, proposal))
          if (moved !== undefined) {
            throw new EvidenceError(
              'STATE_REVISION_STALE',
              `${moved} since policy decided: propose the change again`,
            )
          }
          return { ...said, policy_digest: decision.bundle_digest, states: decision.states }
        },
        isSame: ({ proposal_digest, comment: text }) =>
          isEqual({ proposal_digest, ...(text === undefined ? {} : { comment: text }) }, said),
      })
    },

    reject: (principal, id, { eventId, proposalDigest, reason }) => {
      const data = { proposal_digest: proposalDigest, reason }
      const check = (proposal: Proposal) => may.reject(principal, proposal, proposalDigest)
      return take(principal, id, said(proposalRejected, eventId, data, check))
    },

    comment: (principal, id, { eventId, text }) =>
      take(
        principal,
        id,
        said(proposalCommented, eventId, { text }, () => may.comment(principal)),
      ),

    withdraw: (principal, id, { eventId, reason }) => {
      const check = (proposal: Proposal) => may.withdraw(principal, proposal)
      return take(principal, id, said(proposalWithdrawn, eventId, { reason }, check))
    },

    cancel: (principal, id, { eventId, reason }) => {
      const check = (proposal: Proposal) => may.cancel(principal, proposal)
      return take(principal, id, said(proposalCancelled, eventId, { reason }, check))
    },
  }
}

/** A step that records exactly what the request says. */
const said = <Data>(
  contract: EventContract<Data>,
  eventId: string,
  data: Data,
  check: (proposal: Proposal) => void,
): Step<Data> => ({
  contract,
  eventId,
  decide(proposal) {
    check(proposal)
    return data
  },
  isSame: (recorded) => isEqual(recorded, data),
})

const isEqual = (a: unknown, b: unknown): boolean => canonicalText(a) === canonicalText(b)

/**
 * Whether the event of a step stands on the ledger already, as this request would record it.
 * @throws EvidenceError EVENT_ID_REUSED when its id names something else.
 */
async function recordedAs<Data>(
  reader: EventReader,
  principal: Principal,
  stream: string,
  { contract, eventId, isSame }: Pick<Step<Data>, 'contract' | 'eventId' | 'isSame'>,
): Promise<boolean> {
  const found = await reader.find(eventId)
  if (found === undefined) return false
  const { leaf } = found
  const isOurs =
    leaf.type === contract.type &&
    leaf.project === principal.project &&
    leaf.stream === stream &&
    leaf.actor === principal.name
  const data = isOurs ? dataOf(contract, found) : undefined
  // Erased data cannot be compared: the same id, stream and type count as the same event.
  if (isOurs && (data === undefined || isSame(data))) return true
  throw new EvidenceError('EVENT_ID_REUSED', `the id ${eventId} names another event already`)
}

/** Records the submitted event unless it is there. */
async function submitOnce(
  parts: DeskParts,
  principal: Principal,
  { id, body }: { readonly id: string; readonly body: ProposalBody },
): Promise<void> {
  const { now, proposalTtlMs = defaultProposalTtlMs, reader, writer } = parts
  const stream = proposalStream(id)
  const step = {
    contract: proposalSubmitted,
    eventId: id,
    isSame: (data: Parameters<typeof isRepeated>[0]) => isRepeated(data, body),
  }
  if (await recordedAs(reader, principal, stream, step)) return
  const submission = await checkSubmission(parts, principal, body)
  const expiresAt = new Date(now() + proposalTtlMs).toISOString()
  try {
    await writer.record({
      project: principal.project,
      stream,
      expected: 'none',
      actor: principal.name,
      facts: [
        fact(
          proposalSubmitted,
          id,
          { ...submission, expires_at: expiresAt },
          { correlation_id: id },
        ),
      ],
    })
  } catch (error) {
    // The same request may have come twice at once; whichever was first decides what the id names.
    if (!isMoved(error) || !(await recordedAs(reader, principal, stream, step))) throw error
  }
}

/** Appends on the revision that was decided on; false when somebody moved the proposal meanwhile. */
async function append(
  { writer }: DeskParts,
  { id, project, revision }: Proposal,
  actor: string,
  facts: readonly Fact[],
): Promise<boolean> {
  try {
    const correlated = facts.map((one) => ({ ...one, metadata: { correlation_id: id } }))
    await writer.record({
      project,
      stream: proposalStream(id),
      expected: revision,
      actor,
      facts: correlated,
    })
    return true
  } catch (error) {
    if (isMoved(error)) return false
    throw error
  }
}

/** What moves a proposal on now, without anybody's doing: decision and routing, or the queue. */
async function nextFacts(
  { decider, newId }: DeskParts,
  proposal: Proposal,
): Promise<readonly Fact[]> {
  const enqueued = () => fact(proposalEnqueued, newId(), { workflow_id: proposal.id })
  if (isReadyToEnqueue(proposal)) return [enqueued()]
  if (proposal.status !== 'submitted') return []
  const decision = await decider.decide(proposal)
  const decisionId = newId()
  const { outcome, approvals_required: approvals } = decision
  const route = outcome !== 'allow' ? 'blocked' : approvals > 0 ? 'approval' : 'execution'
  const routed = fact(proposalRouted, newId(), {
    route,
    approvals_required: approvals,
    decision_id: decisionId,
    ...(route === 'blocked' ? {} : { executor: kinds[proposal.kind].executor }),
  })
  // Decision, routing and queue stand on the ledger together: no crash leaves one without the others.
  return [
    fact(policySimulated, decisionId, decision),
    routed,
    ...(route === 'execution' ? [enqueued()] : []),
  ]
}
