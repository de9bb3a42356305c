import * as z from 'zod'
import { AssetSpec, AssetState } from './asset.js'
import {
  AccessRole,
  ActorName,
  AssetId,
  Decimal,
  Project,
  Sha256Hex,
  Timestamp,
  Uuid,
  Writer,
} from './identifiers.js'
import { VerifierKey } from './ledger.js'
import { Decision } from './policy.js'
import {
  proposalKinds,
  ProposalBody,
  Reason,
  reasonCharactersMax,
  StateBinding,
} from './proposal.js'

/** RFC 9457 problem with the stable code of `docs/errors.md` and the places that are wrong. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  instance: z.string().optional(),
  code: z.string(),
  remedy: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
})
export type Problem = z.infer<typeof Problem>

export const pageLimitMax = 500
const page = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), next_cursor: z.string().nullable(), has_more: z.boolean() })

export const ProposalStatus = z.enum([
  'submitted',
  'awaiting-approval',
  'enqueued',
  'executing',
  'completed',
  'failed',
  'denied',
  'indeterminate',
  'rejected',
  'withdrawn',
  'cancelled',
  'expired',
])
export type ProposalStatus = z.infer<typeof ProposalStatus>

/** A decision together with where it stands on the ledger. */
export const DecisionView = z.object({
  event_id: Uuid,
  position: Decimal,
  at: Timestamp,
  ...Decision.shape,
})
export type DecisionView = z.infer<typeof DecisionView>

export const ApprovalView = z.object({
  event_id: Uuid,
  actor: z.string(),
  at: Timestamp,
  proposal_digest: Sha256Hex,
  policy_digest: Sha256Hex,
  states: z.array(StateBinding),
  comment: z.string().optional(),
})

/** A proposal as lists show it. */
export const ProposalSummary = z.object({
  id: Uuid,
  status: ProposalStatus,
  kind: z.enum(proposalKinds),
  operation: z.string(),
  asset_id: AssetId.optional(),
  role: z.string().optional(),
  asset_ids: z.array(AssetId),
  /** The name of what it is about, where that is no asset. */
  subject: z.string().optional(),
  reason: z.string(),
  proposer: z.string(),
  submitted_at: Timestamp,
  updated_at: Timestamp,
  expires_at: Timestamp,
  approvals_required: z.int(),
  approvals_given: z.int(),
  /** One sentence: what it waits for, or why it ended. */
  waiting_for: z.string().nullable(),
})
export type ProposalSummary = z.infer<typeof ProposalSummary>

/** One event as a timeline shows it. */
export const TimelineEntry = z.object({
  event_id: Uuid,
  type: z.string(),
  stream: z.string(),
  revision: Decimal,
  position: Decimal,
  time: Timestamp,
  actor: z.string(),
  writer: Writer,
  /** One sentence for people. */
  summary: z.string(),
  leaf_hash: Sha256Hex,
  /** Data of the event in its present version; null once erased. */
  data: z.json(),
})
export type TimelineEntry = z.infer<typeof TimelineEntry>

export const ProposalView = ProposalSummary.extend({
  spec: z.record(z.string(), z.json()),
  ticket: z.string().optional(),
  expected_state_revision: Decimal.optional(),
  /** What approvals are bound to: `data_sha256` of the submitted event. */
  digest: Sha256Hex,
  /** Last revision of the proposal's stream; also the ETag. */
  revision: Decimal,
  simulated: DecisionView.nullable(),
  enforced: DecisionView.nullable(),
  approvals: z.array(ApprovalView),
  comments: z.array(z.object({ actor: z.string(), at: Timestamp, text: z.string() })),
  workflow_id: z.string().nullable(),
  ended: Reason.nullable(),
  /** Every event of the change, from request to outcome, in ledger order. */
  timeline: z.array(TimelineEntry),
  /** What the person who asks may do now. */
  may: z.object({
    approve: z.boolean(),
    reject: z.boolean(),
    withdraw: z.boolean(),
    cancel: z.boolean(),
    comment: z.boolean(),
  }),
})
export type ProposalView = z.infer<typeof ProposalView>

export const ProposalPage = page(ProposalSummary)
export const ProposalRequest = ProposalBody
export const ApprovalRequest = z.strictObject({
  /** The digest that the approver was shown; another one is refused. */
  proposal_digest: Sha256Hex,
  comment: z.string().max(reasonCharactersMax).optional(),
})
export const RejectionRequest = z.strictObject({
  proposal_digest: Sha256Hex,
  reason: z.string().min(1).max(reasonCharactersMax),
})
export const CommentRequest = z.strictObject({ text: z.string().min(1).max(reasonCharactersMax) })
export const EndRequest = z.strictObject({
  reason: z.string().max(reasonCharactersMax).default(''),
})
export const SimulationView = z.object({ ...Decision.shape })

/** CloudEvents 1.0 JSON of one recorded event, with the ledger's extensions. */
export const EventView = z.object({
  specversion: z.literal('1.0'),
  id: Uuid,
  source: z.string(),
  type: z.string(),
  subject: z.string().optional(),
  time: z.string(),
  datacontenttype: z.string(),
  stream: z.string(),
  revision: Decimal,
  position: Decimal,
  recordedtime: Timestamp,
  project: z.string(),
  writer: Writer,
  actor: z.string(),
  correlationid: z.string().optional(),
  causationid: z.string().optional(),
  traceparent: z.string().optional(),
  /** RFC 6962 leaf hash, hex. */
  leafhash: Sha256Hex,
  data: z.json().optional(),
  data_base64: z.string().optional(),
})
export type EventView = z.infer<typeof EventView>
export const EventPage = page(EventView)

/** What happened to each CloudEvent of a request, in its order. */
export const EvidenceResult = z.object({
  id: z.string(),
  result: z.enum(['recorded', 'repeated', 'refused']),
  event_id: Uuid.optional(),
  stream: z.string().optional(),
  revision: Decimal.optional(),
  position: Decimal.nullable().optional(),
  problem: Problem.optional(),
})
export const EvidenceResponse = z.object({ results: z.array(EvidenceResult) })

export const AssetView = z.object({
  asset_id: AssetId,
  kind: z.string(),
  role: z.string(),
  spec: AssetSpec,
  spec_sha256: Sha256Hex,
  state_revision: Decimal,
  state: AssetState,
  state_sha256: Sha256Hex,
  /** When and where the present state was recorded. */
  recorded_at: Timestamp,
  event_id: Uuid,
  position: Decimal,
  registered_at: Timestamp,
  /** A mutation whose outcome is not recorded yet. */
  mutation: z
    .object({
      mutation_id: Uuid,
      proposal_id: Uuid,
      operation: z.string(),
      status: z.enum(['in-progress', 'indeterminate']),
      since: Timestamp,
    })
    .nullable(),
  /** Position up to which this answer is true (`?at=` names an earlier one). */
  as_of: Decimal,
})
export type AssetView = z.infer<typeof AssetView>
export const AssetPage = page(AssetView)

export const WorkflowView = z.object({
  workflow_id: z.string(),
  status: z.enum(['running', 'completed', 'failed', 'waiting']),
  timeline: z.array(TimelineEntry),
})

export const ConsistencyView = z.object({ from: Decimal, to: Decimal, proof: z.array(z.string()) })

/** Positions to be proven together under one published checkpoint: that of `size`, or the latest. */
export const BatchProofRequest = z.strictObject({
  positions: z.array(Decimal).min(1).max(1_000),
  size: Decimal.optional(),
})
/** One proof for all of them: verified with `verifyBatchInclusion`, described in docs/proofs.md. */
export const BatchProofView = z.object({
  /** Ascending, each once. */
  positions: z.array(Decimal),
  size: Decimal,
  /** Base64, in the order of the tree from left to right. */
  hashes: z.array(z.string()),
  /** The signed checkpoint of this size. */
  checkpoint: z.string(),
})

/** Every key that signed the ledger, oldest first. */
export const KeyHistoryView = z.object({
  keys: z.array(
    z.object({
      vkey: VerifierKey,
      /** Size of the first checkpoint that it signed; the key before it signed that too. */
      signing_from: Decimal,
      /** The event that tells of it; its proof leads from one key to the other. */
      event_id: Uuid.nullable(),
    }),
  ),
})
export type KeyHistoryView = z.infer<typeof KeyHistoryView>

export const TokenRequest = z.strictObject({
  name: ActorName,
  access: z
    .array(AccessRole.exclude(['administrator']))
    .min(1)
    .max(7),
})
/** The token is shown here once and kept nowhere; the link signs one browser in, once. */
export const TokenResponse = z.object({
  name: ActorName,
  project: Project,
  access: z.array(AccessRole),
  token: z.string(),
  sign_in_url: z.string(),
  event_id: Uuid,
})

export const SessionView = z.object({
  name: z.string(),
  project: z.string(),
  access: z.array(AccessRole),
  origin: z.string(),
})

export const QueryRequest = z.strictObject({
  sql: z.string().min(1).max(65_536),
  parameters: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/),
      z.union([z.string(), z.number(), z.boolean()]),
    )
    .default({}),
  /** Whether the answer brings a proof of the events behind its rows: each must name its own. */
  proof: z.boolean().default(false),
})
/** Rows, and the position below which every event was folded when they were read. */
export const QueryResponse = z.object({
  rows: z.array(z.record(z.string(), z.json())),
  position: Decimal,
  /** A file of `schemas/query-proof.v1.json`, when it was asked for. */
  proof: z.string().optional(),
})

/** One thing on the head-up display. */
export const HudItem = z.object({
  proposal: ProposalSummary,
  /** Why it stands in this list, and who can move it on. */
  note: z.string(),
})
export const HudView = z.object({
  waits_for_me: z.array(HudItem),
  runs: z.array(HudItem),
  blocked: z.array(HudItem),
  recent: z.array(HudItem),
  /** Parts of the service and whether they work: `name` is ledger, warehouse, execution, projector. */
  parts: z.array(
    z.object({
      name: z.string(),
      status: z.enum(['ok', 'starting', 'lagging', 'down']),
      detail: z.string(),
    }),
  ),
  position: Decimal,
  trust: z.string(),
})
export type HudView = z.infer<typeof HudView>

/** The live message contract `portal_live_events`: references only, no payload. */
export const LiveEvent = z.object({
  position: Decimal,
  event_id: Uuid,
  project: z.string(),
  type: z.string(),
  stream: z.string(),
  revision: Decimal,
  time: Timestamp,
  actor: z.string(),
  proposal_id: Uuid.optional(),
  asset_id: AssetId.optional(),
})
export type LiveEvent = z.infer<typeof LiveEvent>

export const ReadyView = z.object({
  status: z.enum(['ready', 'not-ready']),
  parts: HudView.shape.parts,
})
