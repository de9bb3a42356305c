import * as z from 'zod'
import { Decimal, Instant, Timestamp } from './identifiers.js'
import { QueryResponse } from './http.js'

/** What may stand in the address of any audit query; each says which it takes. */
export const AuditParameters = z.strictObject({
  from: Instant.optional(),
  to: Instant.optional(),
  at: Instant.optional(),
  asset_id: z.string().max(128).optional(),
  minutes: z.coerce.number().int().min(0).max(5_256_000).optional(),
  /** Whether the answer brings a proof of the events behind its rows. */
  proof: z.enum(['true', 'false']).optional(),
})

/** The events of one type in a window: the proof of it (`GET /v1/events/proof`) shows that no row is left out. */
const Population = z.object({ type: z.string(), from: Timestamp, to: Timestamp })

export const AuditAnswer = QueryResponse.extend({
  query: z.string(),
  summary: z.string(),
  population: Population.nullable(),
  /** Whether the answer is what it must be; null where any answer is possible. */
  as_expected: z.boolean().nullable(),
})
export type AuditAnswer = z.infer<typeof AuditAnswer>

export const AuditList = z.object({
  position: Decimal,
  queries: z.array(
    z.object({
      query: z.string(),
      summary: z.string(),
      parameters: z.array(z.string()),
      population: z.string().nullable(),
      expects_no_rows: z.boolean(),
    }),
  ),
})
export type AuditList = z.infer<typeof AuditList>
