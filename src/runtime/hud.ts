import type { HudView } from '../contracts/http.js'
import { parseNote } from '../ledger/note.js'
import type { WitnessedCheckpoints } from '../ledger/witnessed.js'
import type { Principal, Proposal, ProposalStatus } from '../proposals/proposal.js'
import { mayDo, proposalSummary, waitingFor } from './proposal-view.js'

/** Items per list: the display says what is next, the proposals page says everything. */
export const hudItemsMax = 20

/** How far the ledger's word is vouched for: it signs its own checkpoints, and others may cosign them. */
export function trustLevelOf(witnessed: WitnessedCheckpoints | undefined): string {
  if (witnessed === undefined) return 'self-signed'
  const latest = witnessed.latest()
  const lines = latest === undefined ? [] : parseNote(latest.note).signatures
  const count = lines.filter(({ name, keyId }) =>
    witnessed.vkeys.some((vkey) => vkey.startsWith(`${name}+${keyId}+`)),
  ).length
  if (count === 0) return 'self-signed (no witness has followed yet)'
  return count === 1 ? '1 witness' : `${count} witnesses`
}

const blockedStatuses: readonly ProposalStatus[] = ['denied', 'indeterminate', 'failed']
const runningStatuses: readonly ProposalStatus[] = ['submitted', 'enqueued', 'executing']

/** What waits for somebody, what runs, what is blocked and why, and what ended lately. */
export function hudView(
  principal: Principal,
  proposals: readonly Proposal[],
  parts: HudView['parts'],
  position: number,
  trust: string,
): HudView {
  const items = (matches: (proposal: Proposal) => boolean, note: (proposal: Proposal) => string) =>
    proposals
      .filter(matches)
      .slice(0, hudItemsMax)
      .map((proposal) => ({ proposal: proposalSummary(proposal), note: note(proposal) }))
  const execution = parts.find(({ name }) => name === 'execution')
  const stalled = execution !== undefined && execution.status !== 'ok'
  const mine = (proposal: Proposal) => mayDo(principal, proposal).approve
  const queued = ({ status }: Proposal) =>
    stalled && (status === 'enqueued' || status === 'executing')
  const waits = (proposal: Proposal) => waitingFor(proposal) ?? 'it has ended'
  return {
    waits_for_me: items(mine, ({ proposer }) => `${proposer} asks for your decision`),
    runs: items(
      (proposal) => runningStatuses.includes(proposal.status) && !queued(proposal),
      (proposal) => `waits for ${waits(proposal)}`,
    ),
    blocked: items(
      (proposal) =>
        queued(proposal) ||
        blockedStatuses.includes(proposal.status) ||
        (proposal.status === 'awaiting-approval' && !mine(proposal)),
      (proposal) =>
        queued(proposal)
          ? `execution is ${execution?.status ?? 'down'}: ${execution?.detail ?? ''}`
          : proposal.status === 'awaiting-approval'
            ? `waits for ${waits(proposal)}`
            : waits(proposal),
    ),
    recent: items(
      ({ status }) => !runningStatuses.includes(status) && status !== 'awaiting-approval',
      (proposal) =>
        `${proposal.status}${proposal.ended === undefined ? '' : `: ${proposal.ended.message}`}`,
    ),
    parts: [...parts],
    position: String(position),
    trust,
  }
}
