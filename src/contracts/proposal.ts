import * as z from 'zod'
import { specExample } from './asset.js'
import { defineEvent } from './event.js'
import { AssetId, Decimal, Role, Sha256Hex, Timestamp, Uuid } from './identifiers.js'

/** Kinds that change assets, by asset_id or role. */
export const assetKinds = ['asset-operation', 'asset-registration'] as const
/** Kinds that change what controls them (law 13); what they are about stands in their spec. */
export const controlKinds = ['worker-enrolment'] as const
/** Kinds of proposals that this version decides and executes. */
export const proposalKinds = [...assetKinds, ...controlKinds] as const
export type ProposalKindName = (typeof proposalKinds)[number]
export type ControlKindName = (typeof controlKinds)[number]

export const isControlKind = (kind: ProposalKindName): kind is ControlKindName =>
  controlKinds.some((one) => one === kind)

export const reasonCharactersMax = 2000
export const specBytesMax = 131_072

/**
 * What a proposer submits. `spec` holds the parameters of the operation; the contract of the
 * operation checks it (`src/assets/operations.ts`).
 */
export const ProposalBody = z
  .strictObject({
    kind: z.enum(proposalKinds),
    asset_id: AssetId.optional(),
    role: Role.optional(),
    operation: z.string().regex(/^[a-z][a-z-]{0,62}$/, 'an operation: a-z and "-"'),
    spec: z.record(z.string(), z.json()).default({}),
    reason: z.string().min(1, 'say why the change is wanted').max(reasonCharactersMax),
    ticket: z.string().min(1).max(128).optional(),
    /** The state revision the proposer looked at; the proposal is refused when the asset moved on. */
    expected_state_revision: z.union([Decimal, z.int().nonnegative().transform(String)]).optional(),
  })
  .refine(
    ({ kind, asset_id: assetId, role }) =>
      isControlKind(kind) || (assetId === undefined) !== (role === undefined),
    { path: ['asset_id'], message: 'name either asset_id or role, not both and not none' },
  )
  .refine(
    (body) =>
      !isControlKind(body.kind) ||
      [body.asset_id, body.role, body.expected_state_revision].every((it) => it === undefined),
    { path: ['kind'], message: 'a change of this kind is about no asset: its spec says all' },
  )
export type ProposalBody = z.infer<typeof ProposalBody>

/** Why something is blocked: a stable code, a sentence for people, and who can resolve it. */
export const Reason = z.strictObject({
  code: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  message: z.string().max(2048),
  resolvable_by: z.string().max(256).optional(),
})
export type Reason = z.infer<typeof Reason>

/** The state an approval or decision was made on. `state_revision` is null before registration. */
export const StateBinding = z.strictObject({
  asset_id: AssetId,
  state_revision: Decimal.nullable(),
  state_sha256: Sha256Hex.nullable(),
})
export type StateBinding = z.infer<typeof StateBinding>

/** Every stream that a change touched: the table of contents in its terminal event. */
export const ContentsEntry = z.strictObject({
  stream: z.string().max(512),
  first_revision: Decimal,
  last_revision: Decimal,
  /** RFC 6962 leaf hash of the event at `last_revision`. */
  leaf_hash: Sha256Hex,
})
export type ContentsEntry = z.infer<typeof ContentsEntry>

const id = '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11'
const other = '7a2d2e1f-3d4c-5b68-9a8f-4b3c0d5e6f70'
const d = (digit: string) => digit.repeat(64)
const contents = [
  { stream: `proposal-${id}`, first_revision: '0', last_revision: '4', leaf_hash: d('f') },
]
const binding = { asset_id: 'web-01', state_revision: '1', state_sha256: d('e') }

const define = <Data>(
  contract: Omit<Parameters<typeof defineEvent<Data>>[0], 'version' | 'category'>,
) => defineEvent<Data>({ version: '1', category: 'proposal', ...contract })

export const proposalSubmitted = define({
  type: 'proposal.submitted',
  writer: 'recording',
  summary: 'A person or program proposed a change',
  schema: z.strictObject({
    kind: z.enum(proposalKinds),
    asset_id: AssetId.optional(),
    role: Role.optional(),
    /** The assets that asset_id or role named when the proposal was submitted; none for other kinds. */
    asset_ids: z.array(AssetId).max(64),
    operation: z.string().max(64),
    spec: z.record(z.string(), z.json()),
    reason: z.string().max(reasonCharactersMax),
    ticket: z.string().max(128).optional(),
    expected_state_revision: Decimal.optional(),
    expires_at: Timestamp,
  }),
  example: {
    kind: 'asset-registration',
    asset_id: 'web-01',
    asset_ids: ['web-01'],
    operation: 'register',
    spec: { ...specExample, criticality: 'low' },
    reason: 'bring the web server under control',
    expires_at: '2026-12-01T00:00:00.000Z',
  },
})

export const proposalRouted = define({
  type: 'proposal.routed',
  writer: 'recording',
  summary: 'The decision was turned into the next step: approval, execution, or none',
  schema: z.strictObject({
    route: z.enum(['approval', 'execution', 'blocked']),
    approvals_required: z.int().min(0).max(8),
    decision_id: Uuid,
    executor: z.enum(['execution-runtime', 'worker']).optional(),
  }),
  example: {
    route: 'approval',
    approvals_required: 1,
    decision_id: other,
    executor: 'execution-runtime',
  },
})

export const proposalApproved = define({
  type: 'proposal.approved',
  writer: 'recording',
  summary: 'An approver agreed to exactly this proposal, under this policy, on this asset state',
  schema: z.strictObject({
    proposal_digest: Sha256Hex,
    policy_digest: Sha256Hex,
    states: z.array(StateBinding).max(64),
    comment: z.string().max(reasonCharactersMax).optional(),
  }),
  example: { proposal_digest: d('a'), policy_digest: d('b'), states: [binding] },
})

export const proposalRejected = define({
  type: 'proposal.rejected',
  writer: 'recording',
  summary: 'An approver refused the proposal; a rejection wins over approvals',
  schema: z.strictObject({
    proposal_digest: Sha256Hex,
    reason: z.string().min(1).max(reasonCharactersMax),
  }),
  example: { proposal_digest: d('a'), reason: 'not during the sale' },
})

export const proposalCommented = define({
  type: 'proposal.commented',
  writer: 'recording',
  summary: 'Somebody said something about the proposal',
  schema: z.strictObject({ text: z.string().min(1).max(reasonCharactersMax) }),
  example: { text: 'the ticket has the load figures' },
})

export const proposalWithdrawn = define({
  type: 'proposal.withdrawn',
  writer: 'recording',
  summary: 'The proposer took the proposal back before it was decided',
  schema: z.strictObject({ reason: z.string().max(reasonCharactersMax) }),
  example: { reason: 'no longer needed' },
})

export const proposalCancelled = define({
  type: 'proposal.cancelled',
  fromReserve: true,
  writer: 'recording',
  summary: 'An approver or operator ended an approved proposal before its execution began',
  schema: z.strictObject({ reason: z.string().max(reasonCharactersMax) }),
  example: { reason: 'the asset is under repair' },
})

export const proposalEnqueued = define({
  type: 'proposal.enqueued',
  writer: 'recording',
  summary:
    'Everything asked for is there: the proposal waits for its workflow (the ledger is the queue)',
  schema: z.strictObject({ workflow_id: Uuid }),
  example: { workflow_id: id },
})

export const proposalStarted = define({
  type: 'proposal.started',
  writer: 'activity',
  summary: 'The workflow began to execute the proposal',
  schema: z.strictObject({ workflow_id: Uuid, run_id: z.string().max(64) }),
  example: { workflow_id: id, run_id: other },
})

export const proposalExpired = define({
  type: 'proposal.expired',
  fromReserve: true,
  writer: 'activity',
  summary: 'Nobody decided the proposal before its expiry',
  schema: z.strictObject({ expires_at: Timestamp, contents: z.array(ContentsEntry).max(256) }),
  example: { expires_at: '2026-12-01T00:00:00.000Z', contents },
})

export const proposalCompleted = define({
  type: 'proposal.completed',
  fromReserve: true,
  writer: 'activity',
  summary: 'The change was executed and observed on every asset',
  schema: z.strictObject({ workflow_id: Uuid, contents: z.array(ContentsEntry).max(256) }),
  example: { workflow_id: id, contents },
})

export const proposalFailed = define({
  type: 'proposal.failed',
  fromReserve: true,
  writer: 'activity',
  summary:
    'The change ended without reaching its goal; what happened until then stands in the streams named',
  schema: z.strictObject({
    workflow_id: Uuid,
    reason: Reason,
    contents: z.array(ContentsEntry).max(256),
  }),
  example: {
    workflow_id: id,
    reason: {
      code: 'mutation-failed',
      message: 'replica 0 of web-01 never became healthy',
      resolvable_by: 'proposer',
    },
    contents,
  },
})

export const proposalEvents = [
  proposalSubmitted,
  proposalRouted,
  proposalApproved,
  proposalRejected,
  proposalCommented,
  proposalWithdrawn,
  proposalCancelled,
  proposalEnqueued,
  proposalStarted,
  proposalExpired,
  proposalCompleted,
  proposalFailed,
] as const
