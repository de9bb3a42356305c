import * as z from 'zod'
import { defineEvent } from './event.js'
import { AccessRole, ActorName, Project, Sha256Hex, Timestamp, Uuid } from './identifiers.js'
import { WorkerEnrolment } from './worker.js'

const issued = z.strictObject({
  name: ActorName,
  project: Project,
  access: z.array(AccessRole).min(1).max(8),
  /** SHA-256 of the token; the token itself is shown once and kept nowhere. */
  token_sha256: Sha256Hex,
  expires_at: Timestamp.optional(),
})

export const tokenIssued = defineEvent({
  type: 'identity.token-issued',
  version: '1',
  writer: 'recording',
  category: 'identity',
  summary: 'The administrator issued a token with access roles',
  schema: issued,
  example: { name: 'ada', project: 'default', access: ['proposer'], token_sha256: 'a'.repeat(64) },
})

export const tokenRevoked = defineEvent({
  type: 'identity.token-revoked',
  version: '1',
  writer: 'recording',
  category: 'identity',
  summary: 'A token stopped being valid',
  schema: z.strictObject({ name: ActorName, token_sha256: Sha256Hex }),
  example: { name: 'ada', token_sha256: 'a'.repeat(64) },
})

export const workerEnrolled = defineEvent({
  type: 'identity.worker-enrolled',
  version: '1',
  writer: 'activity',
  category: 'identity',
  summary: 'A process was enrolled by its key: what its components may append, and until when',
  schema: z.strictObject({ ...WorkerEnrolment.shape, proposal_id: Uuid }),
  example: {
    name: 'berlin-1',
    public_key_sha256: 'b'.repeat(64),
    components: ['worker', 'execution-runtime'],
    expires_at: '2027-12-01T00:00:00.000Z',
    proposal_id: '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11',
  },
})

export const identityRevoked = defineEvent({
  type: 'identity.revoked',
  version: '1',
  writer: 'activity',
  category: 'identity',
  summary: 'An enrolment was ended: whoever holds the key is refused from here on',
  schema: z.strictObject({ name: ActorName, public_key_sha256: Sha256Hex, proposal_id: Uuid }),
  example: {
    name: 'berlin-1',
    public_key_sha256: 'b'.repeat(64),
    proposal_id: '7a2d2e1f-3d4c-5b68-9a8f-4b3c0d5e6f70',
  },
})

export const identityEvents = [tokenIssued, tokenRevoked, workerEnrolled, identityRevoked] as const
