import * as z from 'zod'
import { PlacedLeaf, proofLeavesMax } from './completeness.js'
import { Decimal, Sha256Hex, Uuid } from './identifiers.js'
import { VerifierKey } from './ledger.js'
import { Base64 } from './proof-file.js'

export const queryProofFormat = 'fractalops/query-proof/1'

/** A row that names the event it was folded from, with whatever else was asked for. */
export const ProvenRow = z
  .object({ position: Decimal, event_id: Uuid, leaf_hash: Sha256Hex })
  .catchall(z.json())
export type ProvenRow = z.infer<typeof ProvenRow>

/** The answer of a query on the fact tables with the events behind its rows: RFC 8785 JSON plus one newline. */
export const QueryProofFile = z.strictObject({
  format: z.literal(queryProofFormat),
  sql: z.string().min(1).max(65_536),
  parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** Every event below it was folded when the rows were read. */
  position: Decimal,
  rows: z.array(ProvenRow).min(1).max(100_000),
  /** The leaf of every event that a row names, ascending, each once. */
  leaves: z.array(PlacedLeaf).min(1).max(proofLeavesMax),
  /** Hashes of the subtrees without a leaf in this file, left to right (docs/proofs.md). */
  nodes: z.array(Base64).max(500_000),
  /** C2SP checkpoint with its signatures. */
  checkpoint: z.string().max(65_536),
  /** Exactly the keys of the signature lines, in their order. */
  keys: z.array(VerifierKey).min(1).max(16),
})
export type QueryProofFile = z.infer<typeof QueryProofFile>
