import * as z from 'zod'
import { defineEvent } from './event.js'
import { ActorName, Decimal, Sha256Hex, Timestamp, Uuid } from './identifiers.js'
import { PolicyBundle } from './policy.js'

/** A C2SP signed-note verifier key: name+hash+base64. */
export const VerifierKey = z
  .string()
  .max(512)
  .regex(/^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+={0,2}$/)

const vkey =
  'fractalops.local/0123456789abcdef+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'

export const ledgerBootstrapped = defineEvent({
  type: 'ledger.bootstrapped',
  version: '1',
  writer: 'ledger',
  category: 'ledger',
  summary:
    'The ledger was created, with its first policies, administrator and key; the only facts without a proposal',
  schema: z.strictObject({
    origin: z.string().max(256),
    policy: PolicyBundle,
    policy_digest: Sha256Hex,
    schema_digest: Sha256Hex,
    administrator: z.strictObject({ name: ActorName, token_sha256: Sha256Hex }),
    vkey: VerifierKey,
  }),
  example: {
    origin: 'fractalops.local/0123456789abcdef',
    policy: {
      name: 'bootstrap',
      policies: { 'register-processes': 'permit (principal, action, resource);' },
      schema: 'entity Person;',
    },
    policy_digest: 'b'.repeat(64),
    schema_digest: 'c'.repeat(64),
    administrator: { name: 'administrator', token_sha256: 'a'.repeat(64) },
    vkey,
  },
})

const alarm = z.strictObject({
  alarm: z.enum([
    'clock-stepped-back',
    'checkpoint-not-reconciled',
    'damage-found',
    'seal-not-reconciled',
  ]),
  message: z.string().max(1024),
  /** Where damage was found: the file below the folder of the ledger. */
  place: z
    .strictObject({
      file: z.string().max(256),
      offset: Decimal,
      position: Decimal.nullable(),
    })
    .optional(),
})
export type LedgerAlarm = z.infer<typeof alarm>
const alarmExample = {
  alarm: 'clock-stepped-back' as const,
  message: 'the clock went back by 5,000 ms; ledger time holds',
}

export const alarmRaised = defineEvent({
  type: 'ledger.alarm-raised',
  version: '1',
  writer: 'ledger',
  category: 'ledger',
  summary: 'The ledger saw something that a person must look at',
  schema: alarm,
  example: alarmExample,
})

export const alarmCleared = defineEvent({
  type: 'ledger.alarm-cleared',
  version: '1',
  writer: 'ledger',
  category: 'ledger',
  summary: 'The cause of an alarm is gone',
  schema: alarm,
  example: alarmExample,
})

export const headsSealed = defineEvent({
  type: 'ledger.heads-sealed',
  version: '1',
  writer: 'ledger',
  category: 'ledger',
  summary:
    'The last event of every stream and type among the first leaves, as the root of a map; what is complete can be proven by it',
  schema: z.strictObject({
    /** Exactly the leaves at the positions below this one are in the map. */
    size: Decimal,
    /** Root of the heads map (docs/completeness.md). */
    root: Sha256Hex,
    /** Streams in the map. */
    streams: Decimal,
    /** The seal before this one. */
    previous: z.strictObject({ position: Decimal, leaf_hash: Sha256Hex }).nullable(),
  }),
  example: {
    size: '65536',
    root: 'd'.repeat(64),
    streams: '1204',
    previous: { position: '41', leaf_hash: 'e'.repeat(64) },
  },
})

export const ledgerVerified = defineEvent({
  type: 'ledger.verified',
  version: '1',
  writer: 'ledger',
  category: 'ledger',
  summary:
    'Leaves were read from disk once more and agree with digests, chains, checkpoints, index and hash tiles',
  schema: z.strictObject({
    /** The leaves below this position agree, as far as this pass has come. */
    size: Decimal,
    /** Root of the tree over them, made anew. */
    root: Sha256Hex,
    /** The leaves from this position on were read since the last such event. */
    from: Decimal,
    /** When the pass began that started at position 0. */
    pass_began: Timestamp,
    /** Whether this pass has reached the end of the ledger. */
    whole: z.boolean(),
    /** Positions below this one were compared with index and hash tiles on disk; what comes behind was not there yet. */
    index_through: Decimal,
  }),
  example: {
    size: '1048576',
    root: 'f'.repeat(64),
    from: '0',
    pass_began: '2026-01-01T00:00:00.000Z',
    whole: false,
    index_through: '1048576',
  },
})

export const duplicateRefused = defineEvent({
  type: 'ledger.duplicate-refused',
  version: '1',
  writer: 'ledger',
  category: 'ledger',
  summary:
    'In this place of its stream the cluster holds a second event with an id that was used; it counts for nothing',
  schema: z.strictObject({
    /** The id that was used again. */
    event_id: Uuid,
    /** Where the first event with that id stands on the ledger. */
    first_position: Decimal,
    /** Revision of the second event in its stream on the cluster. */
    cluster_revision: Decimal,
  }),
  example: {
    event_id: '0b9bb79c-9be1-4a0f-8f43-2b6ec9b1a3a4',
    first_position: '1048',
    cluster_revision: '3',
  },
})

const laterVkey =
  'fractalops.local/0123456789abcdef+8d53a9c1+AVMQ3oAqgHVcFZ4W8fR3KH2uw0TnVZ5hdGWCGHPrvtd1'

const createdKey = { vkey: VerifierKey, purpose: z.enum(['checkpoint']) }

export const keyCreated = defineEvent({
  type: 'key.created',
  version: '2',
  writer: 'ledger',
  category: 'key',
  summary:
    'A key that signs checkpoints came into use; one that follows another signs from the first checkpoint that covers this event and that both signed',
  schema: z.strictObject({
    ...createdKey,
    /** The key before it, and the size of the last checkpoint when this was recorded; null for the first. */
    follows: z.strictObject({ vkey: VerifierKey, size: Decimal }).nullable(),
  }),
  example: { vkey: laterVkey, purpose: 'checkpoint', follows: { vkey, size: '120431' } },
  past: {
    '1': z.strictObject(createdKey).transform((data) => ({ ...data, follows: null })),
  },
})

export const ledgerEvents = [
  ledgerBootstrapped,
  headsSealed,
  ledgerVerified,
  alarmRaised,
  alarmCleared,
  duplicateRefused,
] as const
export const keyEvents = [keyCreated] as const
