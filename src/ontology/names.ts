/**
 * IRIs of everything that events of one project tell of. They hold the ledger, because an asset_id or a name says
 * nothing beyond it: `urn:fractalops:<ledger>:<project>:<kind>:<id>`, where `<ledger>` is what stands in the name
 * of its own stream.
 */
export interface Names {
  readonly project: string
  event(id: string): string
  /** A thing that one event tells of and that has no other id. */
  ofEvent(kind: EventKind, id: string): string
  proposal(id: string): string
  /** What belongs to exactly one proposal. */
  ofProposal(kind: ProposalPart, id: string): string
  run(workflowId: string): string
  step(workflowId: string, step: string): string
  asset(assetId: string): string
  state(assetId: string, revision: string): string
  mutation(assetId: string, mutationId: string): string
  /** An asset_id is registered once. */
  registration(assetId: string): string
  bundle(digest: string): string
  evidence(eventId: string): string
  token(digest: string): string
  enrolment(keyDigest: string): string
  key(vkey: string): string
  alarm(alarm: string): string
  ledger(): string
  table(name: string): string
  actor(name: string): string
  /** A link of an answer. */
  link(key: string): string
}

/** Kinds of things that are named by the event that tells of them. */
export const eventKinds = [
  'decision',
  'evaluation',
  'approval',
  'approval-record',
  'rejection',
  'comment',
  'routing',
  'activation',
  'resolution',
  'observation',
  'revocation',
  'seal',
  'verification',
  'clearing',
  'bootstrap',
  'check',
  'rebuild',
  'refusal',
  'stall',
] as const
export type EventKind = (typeof eventKinds)[number]

export const proposalParts = [
  'authorisation',
  'clearance',
  'enqueueing',
  'withdrawal',
  'cancellation',
  'expiry',
  'outcome',
] as const
export type ProposalPart = (typeof proposalParts)[number]

const scheme = 'urn:fractalops'

/** Names of one project of the ledger whose own stream is `ledger-<ledger>`. */
export function namesOf(ledger: string, project: string): Names {
  const base = `${scheme}:${encodeURIComponent(ledger)}:${encodeURIComponent(project)}`
  const name = (kind: string, ...parts: readonly string[]) =>
    `${base}:${kind}:${parts.map((part) => encodeURIComponent(part.toWellFormed())).join('/')}`
  return {
    project,
    event: (id) => name('event', id),
    ofEvent: (kind, id) => name(kind, id),
    proposal: (id) => name('proposal', id),
    ofProposal: (kind, id) => name(kind, id),
    run: (workflowId) => name('run', workflowId),
    step: (workflowId, step) => name('step', workflowId, step),
    asset: (assetId) => name('asset', assetId),
    state: (assetId, revision) => name('state', assetId, revision),
    mutation: (assetId, mutationId) => name('mutation', assetId, mutationId),
    registration: (assetId) => name('registration', assetId),
    bundle: (digest) => name('bundle', digest),
    evidence: (eventId) => name('evidence', eventId),
    token: (digest) => name('token', digest),
    enrolment: (digest) => name('enrolment', digest),
    key: (vkey) => name('key', vkey),
    alarm: (alarm) => name('alarm', alarm),
    ledger: () => name('ledger', ledger),
    table: (one) => name('table', one),
    actor: (one) => name('actor', one),
    link: (key) => name('link', key),
  }
}

/** What a name says: its kind, and the parts of its id. Undefined for a name of another project or ledger. */
export function readName(
  names: Names,
  iri: string,
): { readonly kind: string; readonly parts: readonly string[] } | undefined {
  const base = names.ledger().split(':ledger:')[0] ?? ''
  if (!iri.startsWith(`${base}:`)) return undefined
  const [kind = '', id = ''] = iri.slice(base.length + 1).split(':')
  return { kind, parts: id.split('/').map(decodeURIComponent) }
}
