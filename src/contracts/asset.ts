import * as z from 'zod'
import { defineEvent } from './event.js'
import { AssetId, Decimal, Role, Sha256Hex, Uuid } from './identifiers.js'

export const replicasMax = 16
export const configurationBytesMax = 65_536
const loopbackHealthUrl = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\]):\{port\}\/[^\s]*$/

/**
 * A supervised local process. Command, arguments, folder, health URL and ports are fixed here; a
 * proposal may later change only replicas, configuration content and run state.
 */
export const ProcessSpec = z.strictObject({
  kind: z.literal('process'),
  role: Role,
  /** What happens to the processes when the service stops cleanly: `supervisor` ends them. */
  lifetime: z.enum(['supervisor', 'host']).default('supervisor'),
  criticality: z.enum(['low', 'medium', 'high']).optional(),
  command: z.string().min(1).max(4096),
  arguments: z.array(z.string().max(4096)).max(64).default([]),
  /** Absolute, or relative to the folder in which the service was started. */
  folder: z.string().min(1).max(4096),
  /** `{port}` stands for the port of the replica: base_port + index of the replica. */
  health_url: z
    .string()
    .max(1024)
    .regex(
      loopbackHealthUrl,
      'must be http://127.0.0.1:{port}/… : a health URL on loopback with the {port} placeholder',
    ),
  base_port: z
    .int()
    .min(1024)
    .max(65_535 - replicasMax),
  replicas: z.int().min(1).max(replicasMax).default(1),
  configuration: z.string().max(configurationBytesMax).default(''),
})
export type ProcessSpec = z.infer<typeof ProcessSpec>

/** What an asset is, fixed at its registration. Further kinds join the union. */
export const AssetSpec = z.discriminatedUnion('kind', [ProcessSpec])
export type AssetSpec = z.infer<typeof AssetSpec>
export type AssetKind = AssetSpec['kind']

export const ProcessReplica = z.strictObject({
  index: z.int().min(0),
  port: z.int(),
  pid: z.int().nullable(),
  /** Start time of the process in clock ticks since boot: with the pid it names one process for ever. */
  start_time: Decimal.nullable(),
  healthy: z.boolean(),
})
export type ProcessReplica = z.infer<typeof ProcessReplica>

/** What was seen of an asset of kind process, and what was wanted of it at that time. */
export const ProcessState = z.strictObject({
  kind: z.literal('process'),
  desired: z.strictObject({
    run_state: z.enum(['running', 'stopped']),
    replicas: z.int().min(1).max(replicasMax),
    configuration_sha256: Sha256Hex,
    /** Names the last start or restart: replicas of an older generation are replaced. */
    generation: z.string().max(64),
  }),
  /** `running`: every wanted replica is alive and healthy; `degraded`: some are not. */
  run_state: z.enum(['running', 'degraded', 'stopped']),
  replicas: z.array(ProcessReplica).max(replicasMax * 2),
})
export type ProcessState = z.infer<typeof ProcessState>

export const AssetState = z.discriminatedUnion('kind', [ProcessState])
export type AssetState = z.infer<typeof AssetState>

/** One place where two states differ: an RFC 6901 pointer with the value before and after. */
export const Difference = z.strictObject({
  pointer: z.string(),
  before: z.json().optional(),
  after: z.json().optional(),
})
export type Difference = z.infer<typeof Difference>

/** What every state-changing event carries: a dense revision, the state and its RFC 8785 digest. */
const stateFields = {
  state_revision: Decimal,
  state: AssetState,
  state_sha256: Sha256Hex,
}
const mutationFields = {
  asset_id: AssetId,
  mutation_id: Uuid,
  proposal_id: Uuid,
  operation: z.string().max(64),
}

const d = (digit: string) => digit.repeat(64)
const proposalId = '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11'
const mutationId = '6f1c1d0e-2c3b-5a57-8f7e-3a2b9c4d5e6f'
const evidenceId = '7a2d2e1f-3d4c-5b68-9a8f-4b3c0d5e6f70'

export const specExample: ProcessSpec = {
  kind: 'process',
  role: 'web',
  lifetime: 'supervisor',
  criticality: 'low',
  command: 'node',
  arguments: ['server.mjs'],
  folder: 'examples/web',
  health_url: 'http://127.0.0.1:{port}/healthz',
  base_port: 18080,
  replicas: 1,
  configuration: '{"greeting":"hello"}',
}

export const stateExample: ProcessState = {
  kind: 'process',
  desired: {
    run_state: 'running',
    replicas: 1,
    configuration_sha256: d('c'),
    generation: mutationId,
  },
  run_state: 'running',
  replicas: [{ index: 0, port: 18080, pid: 4242, start_time: '123456', healthy: true }],
}

const state = { state_revision: '1', state: stateExample, state_sha256: d('e') }
const mutation = {
  asset_id: 'web-01',
  mutation_id: mutationId,
  proposal_id: proposalId,
  operation: 'start',
}

export const assetRegistered = defineEvent({
  type: 'asset.registered',
  version: '1',
  writer: 'activity',
  category: 'asset',
  summary: 'An asset came under control: what it is was fixed',
  schema: z.strictObject({
    asset_id: AssetId,
    proposal_id: Uuid,
    spec: AssetSpec,
    spec_sha256: Sha256Hex,
    ...stateFields,
  }),
  example: {
    asset_id: 'web-01',
    proposal_id: proposalId,
    spec: specExample,
    spec_sha256: d('a'),
    ...state,
    state_revision: '0',
  },
})

export const mutationIntended = defineEvent({
  type: 'asset.mutation-intended',
  version: '1',
  writer: 'activity',
  category: 'asset',
  summary: 'A mutation is about to begin; its outcome follows, or is unknown until resolved',
  schema: z.strictObject({
    ...mutationFields,
    /** The state that the decision to execute was made on. */
    state_revision: Decimal,
    /** Digest of the RFC 8785 form of the parameters; they stand in the proposal. */
    parameters_sha256: Sha256Hex,
    evidence_before: Uuid,
  }),
  example: {
    ...mutation,
    state_revision: '0',
    parameters_sha256: d('b'),
    evidence_before: evidenceId,
  },
})

export const mutated = defineEvent({
  type: 'asset.mutated',
  fromReserve: true,
  version: '1',
  writer: 'activity',
  category: 'asset',
  summary: 'A mutation was carried out and its effect observed',
  schema: z.strictObject({
    ...mutationFields,
    ...stateFields,
    changes: z.array(Difference).max(256),
    evidence_after: Uuid,
  }),
  example: {
    ...mutation,
    ...state,
    changes: [{ pointer: '/run_state', before: 'stopped', after: 'running' }],
    evidence_after: evidenceId,
  },
})

export const mutationFailed = defineEvent({
  type: 'asset.mutation-failed',
  fromReserve: true,
  version: '1',
  writer: 'activity',
  category: 'asset',
  summary: 'A mutation did not reach its goal; the state observed afterwards is recorded',
  schema: z.strictObject({
    ...mutationFields,
    ...stateFields,
    changes: z.array(Difference).max(256),
    reason: z.string().max(2048),
    evidence_after: Uuid,
  }),
  example: {
    ...mutation,
    ...state,
    changes: [],
    reason: 'replica 0 never became healthy',
    evidence_after: evidenceId,
  },
})

export const mutationIndeterminate = defineEvent({
  type: 'asset.mutation-indeterminate',
  fromReserve: true,
  version: '1',
  writer: 'activity',
  category: 'asset',
  summary:
    'Whether a mutation took effect could not be observed; it is resolved later, never guessed',
  schema: z.strictObject({ ...mutationFields, reason: z.string().max(2048) }),
  example: { ...mutation, reason: 'the workflow was terminated between intent and outcome' },
})

export const mutationResolved = defineEvent({
  type: 'asset.resolved',
  fromReserve: true,
  version: '1',
  writer: 'activity',
  category: 'asset',
  summary: 'An indeterminate mutation was resolved by observing the asset',
  schema: z.strictObject({
    ...mutationFields,
    ...stateFields,
    outcome: z.enum(['mutated', 'failed']),
    reason: z.string().max(2048),
  }),
  example: {
    ...mutation,
    ...state,
    outcome: 'mutated',
    reason: 'the observed state is the wanted one',
  },
})

export const assetObserved = defineEvent({
  type: 'asset.observed',
  version: '1',
  writer: 'activity',
  category: 'asset',
  summary: 'The state of an asset was seen to differ from its last recorded state',
  schema: z.strictObject({
    asset_id: AssetId,
    cause: z.enum(['start', 'exit', 'schedule', 'before-mutation']),
    ...stateFields,
    changes: z.array(Difference).max(256),
  }),
  example: {
    asset_id: 'web-01',
    cause: 'exit',
    ...state,
    changes: [{ pointer: '/run_state', before: 'running', after: 'degraded' }],
  },
})

export const assetEvents = [
  assetRegistered,
  mutationIntended,
  mutated,
  mutationFailed,
  mutationIndeterminate,
  mutationResolved,
  assetObserved,
] as const
