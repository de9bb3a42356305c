import * as z from 'zod'
import { Difference } from './asset.js'
import { defineEvent } from './event.js'
import { Sha256Hex, Uuid } from './identifiers.js'
import { Reason, StateBinding } from './proposal.js'

/** Cedar policies with the schema they are validated against. Its digest is that of its RFC 8785 form. */
export const PolicyBundle = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  /** Cedar text by policy id; the ids appear in decisions as the policies that determined them. */
  policies: z.record(z.string().regex(/^[a-z][a-z0-9-]{0,127}$/), z.string().max(65_536)),
  /** Cedar schema text. */
  schema: z.string().max(262_144),
})
export type PolicyBundle = z.infer<typeof PolicyBundle>

export const Outcome = z.enum(['allow', 'deny', 'indeterminate'])
export type Outcome = z.infer<typeof Outcome>

/** One decision of the policy engine, with everything needed to make it again. */
export const Decision = z.strictObject({
  proposal_digest: Sha256Hex,
  outcome: Outcome,
  reasons: z.array(Reason).max(64),
  /** How many approvals policy asks for before it allows execution; 0 unless the outcome is allow. */
  approvals_required: z.int().min(0).max(8),
  approvals_counted: z.int().min(0).max(8),
  determining_policies: z.array(z.string().max(128)).max(256),
  errors: z.array(z.string().max(2048)).max(64),
  bundle: z.string().max(64),
  bundle_digest: Sha256Hex,
  schema_digest: Sha256Hex,
  input_digest: Sha256Hex,
  /** The question as it was put to the engine: principal, action, resource, context per asset. */
  input: z.json(),
  engine: z.string().max(64),
  states: z.array(StateBinding).max(64),
  /** The predicted effect on each asset, in the words of its observed state. */
  diff: z
    .array(z.strictObject({ asset_id: z.string(), changes: z.array(Difference).max(256) }))
    .max(64),
})
export type Decision = z.infer<typeof Decision>

const d = (digit: string) => digit.repeat(64)
const example: Decision = {
  proposal_digest: d('a'),
  outcome: 'allow',
  reasons: [
    {
      code: 'approval-required',
      message: 'policy allows this with 1 approval',
      resolvable_by: 'approver',
    },
  ],
  approvals_required: 1,
  approvals_counted: 0,
  determining_policies: ['operate-with-approval'],
  errors: [],
  bundle: 'bootstrap',
  bundle_digest: d('b'),
  schema_digest: d('c'),
  input_digest: d('d'),
  input: { principal: 'ada', action: 'scale' },
  engine: 'cedar 4.13.0',
  states: [{ asset_id: 'web-01', state_revision: '1', state_sha256: d('e') }],
  diff: [{ asset_id: 'web-01', changes: [{ pointer: '/desired/replicas', before: 1, after: 3 }] }],
}

export const policySimulated = defineEvent({
  type: 'policy.simulated',
  version: '1',
  writer: 'recording',
  category: 'proposal',
  summary: 'Policy was asked before anything runs (stage 1), on the last observed state',
  schema: Decision,
  example,
})

export const policyEnforced = defineEvent({
  type: 'policy.enforced',
  version: '1',
  writer: 'activity',
  category: 'proposal',
  summary: 'Policy was asked again at execution, with the approvals that still hold',
  schema: Decision,
  example: { ...example, approvals_counted: 1 },
})

export const bundlePublished = defineEvent({
  type: 'policy.bundle-published',
  version: '1',
  writer: 'recording',
  category: 'policy',
  summary: 'A policy bundle was published; it decides nothing until it is activated',
  schema: z.strictObject({
    bundle: PolicyBundle,
    bundle_digest: Sha256Hex,
    schema_digest: Sha256Hex,
  }),
  example: {
    bundle: {
      name: 'bootstrap',
      policies: { 'operate-with-approval': 'permit (principal, action, resource);' },
      schema: 'entity Person;',
    },
    bundle_digest: d('b'),
    schema_digest: d('c'),
  },
})

export const bundleActivated = defineEvent({
  type: 'policy.bundle-activated',
  version: '1',
  writer: 'activity',
  category: 'policy',
  summary: 'A published policy bundle decides from here on',
  schema: z.strictObject({ bundle_digest: Sha256Hex, proposal_id: Uuid }),
  example: { bundle_digest: d('b'), proposal_id: '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11' },
})

export const policyEvents = [
  policySimulated,
  policyEnforced,
  bundlePublished,
  bundleActivated,
] as const
