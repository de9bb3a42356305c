import * as z from 'zod'
import { defineEvent } from './event.js'
import { AccessRole, ActorName, Project, Sha256Hex, Timestamp } from './identifiers.js'

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

export const identityEvents = [tokenIssued, tokenRevoked] as const
