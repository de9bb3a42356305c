import * as z from 'zod'
import { Uuid } from './identifiers.js'

export const erasedPartsOf = ['data', 'metadata'] as const
export const erasureTargetsMax = 1_000

/**
 * The member `erasures` of the data of every event that tells of an erasure: which parts of which
 * earlier events are gone. It is what an erased mark in the journal is judged by.
 */
export const Erasures = z
  .array(
    z.strictObject({
      id: Uuid,
      parts: z.array(z.enum(erasedPartsOf)).min(1).max(erasedPartsOf.length),
    }),
  )
  .min(1)
  .max(erasureTargetsMax)
export type Erasures = z.infer<typeof Erasures>
