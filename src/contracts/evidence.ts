import * as z from 'zod'
import { defineEvent } from './event.js'
import { AssetId, Sha256Hex, Uuid } from './identifiers.js'

export const attributesMax = 32

const body = {
  /** Digest of the evidence itself, which is kept where `location` says. */
  sha256: Sha256Hex,
  media_type: z.string().min(1).max(256),
  /** Bytes. */
  size: z.int().nonnegative(),
  location: z.string().max(2048).optional(),
  description: z.string().max(4096).optional(),
}

export const evidenceRecorded = defineEvent({
  type: 'evidence.recorded',
  version: '1',
  writer: 'recording',
  category: 'evidence',
  summary: 'A person or program put evidence on the ledger',
  schema: z.strictObject({
    ...body,
    /** Facts about the evidence by which it is found again in the fact table. */
    attributes: z
      .record(z.string().regex(/^[a-z][a-z0-9._-]{0,62}$/), z.string().max(2048))
      .refine(
        (all) => Object.keys(all).length <= attributesMax,
        `at most ${attributesMax} attributes`,
      )
      .optional(),
  }),
  example: {
    sha256: 'a'.repeat(64),
    media_type: 'application/pdf',
    size: 48_211,
    location: 'https://files.example/reports/2026-11.pdf',
    description: 'access review of November',
    attributes: { 'review.period': '2026-11' },
  },
})

export const evidenceCaptured = defineEvent({
  type: 'evidence.captured',
  fromReserve: true,
  version: '1',
  writer: 'activity',
  category: 'evidence',
  summary: 'An activity captured what an asset looked like before or after a mutation',
  schema: z.strictObject({
    ...body,
    proposal_id: Uuid,
    asset_id: AssetId,
    phase: z.enum(['before', 'after']),
    /** What was seen; `sha256` and `size` are of its RFC 8785 form. */
    observation: z.json(),
  }),
  example: {
    sha256: 'b'.repeat(64),
    media_type: 'application/json',
    size: 120,
    proposal_id: '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11',
    asset_id: 'web-01',
    phase: 'after',
    observation: { replicas: [{ pid: 4242, health: { status: 200 } }] },
  },
})

export const evidenceEvents = [evidenceRecorded, evidenceCaptured] as const
