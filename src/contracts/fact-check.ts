import * as z from 'zod'
import { Decimal, Timestamp, Uuid } from './identifiers.js'
import { FactTable, ProjectionChecked } from './projection.js'

/** What the last comparison of every fact table with the ledger found. */
export const FactCheckView = z.object({
  /** The comparison that runs now, and how far it is. */
  running: z.object({ position: Decimal, size: Decimal }).nullable(),
  tables: z.array(
    ProjectionChecked.omit({ projector_version: true }).extend({
      event_id: Uuid,
      checked_at: Timestamp,
      /** The check that it belongs to, as its request answered. */
      check_id: z.string(),
      /** Whether this is the second look, after the same check mended the table. */
      follows_repair: z.boolean(),
      /** When the table was mended after it. */
      rebuilt_at: Timestamp.nullable(),
    }),
  ),
})
export type FactCheckView = z.infer<typeof FactCheckView>

export const FactCheckRequest = z.strictObject({
  /** Absent = every table. */
  tables: z.array(FactTable).min(1).max(64).optional(),
  /** Whether what differs is written anew. */
  repair: z.boolean().default(false),
})

/** What a check is known by in `check_id`. */
export const FactCheckStarted = z.object({ check_id: z.string(), tables: z.array(FactTable) })
export type FactCheckStarted = z.infer<typeof FactCheckStarted>
