import type { ProposalStatus } from '../contracts/http.js'

/** The tones of a chip; `portal.css` gives each its colours in both schemes. */
export type Tone = 'quiet' | 'info' | 'good' | 'warn' | 'bad' | 'unsure'

export const statusTone: Readonly<Record<ProposalStatus, Tone>> = {
  submitted: 'quiet',
  'awaiting-approval': 'warn',
  enqueued: 'info',
  executing: 'info',
  completed: 'good',
  failed: 'bad',
  denied: 'bad',
  indeterminate: 'unsure',
  rejected: 'bad',
  withdrawn: 'quiet',
  cancelled: 'quiet',
  expired: 'quiet',
}

const outcomeTones: Readonly<Record<string, Tone>> = {
  allow: 'good',
  deny: 'bad',
  indeterminate: 'unsure',
  running: 'good',
  degraded: 'warn',
  stopped: 'quiet',
  ok: 'good',
  starting: 'info',
  lagging: 'warn',
  down: 'bad',
  'in-progress': 'info',
}
export const outcomeTone = (word: string): Tone => outcomeTones[word] ?? 'quiet'

/** `awaiting-approval` as `Awaiting approval`; for names of contracts that people read. */
export function sentence(name: string): string {
  const words = name.replaceAll(/[-_]/g, ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** What a proposal asks for, in a few words. */
export const proposalTitle = (proposal: {
  readonly operation: string
  readonly asset_id?: string | undefined
  readonly role?: string | undefined
  readonly subject?: string | undefined
}): string =>
  `${sentence(proposal.operation)} ${proposal.asset_id ?? proposal.subject ?? `every ${proposal.role ?? 'asset'}`}`
