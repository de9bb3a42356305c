import * as z from 'zod'
import { Decimal, Project, Sha256Hex, Timestamp } from './identifiers.js'
import { LeafName, LeafStream } from './leaf.js'
import { VerifierKey } from './ledger.js'
import { Base64, Part } from './proof-file.js'

export const streamProofFormat = 'fractalops/stream-proof/1'
export const windowProofFormat = 'fractalops/window-proof/1'

/** Events that one file lists; of longer streams and windows several files are made. */
export const proofLeavesMax = 10_000
/** Leaves since the last seal that one file carries to reach its checkpoint; beyond, it reaches the seal. */
export const leavesSinceMax = 10_000
const nodesMax = 500_000

const LeafText = z.string().max(8192)
export const PlacedLeaf = z.strictObject({
  /** Position of the leaf. */
  index: Decimal,
  /** Leaf text including its `fractalops/leaf/1\n` prefix. */
  leaf: LeafText,
})
export type PlacedLeaf = z.infer<typeof PlacedLeaf>

const Head = z.strictObject({ number: Decimal, leaf_hash: Sha256Hex })

/** A `ledger.heads-sealed` event, and the way of the stream or type through its map. */
const Seal = z.strictObject({
  index: Decimal,
  leaf: LeafText,
  data: Part,
  /** What the map holds of it: the last revision or `type_seq`; null when the seal covers none. */
  head: Head.nullable(),
  way: z.strictObject({
    siblings: z.array(Base64.nullable()).max(256),
    other: Head.extend({ key: Sha256Hex }).nullable(),
  }),
})
export type SealPart = z.infer<typeof Seal>

const common = {
  seal: Seal.nullable(),
  /** Every leaf from the size of the seal (0 without one) to that of the checkpoint; null when left out. */
  since: z.array(LeafText).max(leavesSinceMax).nullable(),
  /** Hashes of the subtrees without a leaf in this file, left to right (docs/completeness.md). */
  nodes: z.array(Base64).max(nodesMax),
  /** C2SP checkpoint with its signatures. */
  checkpoint: z.string().max(65_536),
  /** Exactly the keys of the signature lines, in their order. */
  keys: z.array(VerifierKey).min(1).max(16),
}

/** Every event of a stream, or of a part of it: RFC 8785 JSON plus one newline. */
export const StreamProofFile = z.strictObject({
  format: z.literal(streamProofFormat),
  project: Project,
  stream: LeafStream,
  /** In order, no revision left out. */
  leaves: z.array(PlacedLeaf).min(1).max(proofLeavesMax),
  ...common,
})
export type StreamProofFile = z.infer<typeof StreamProofFile>

/** Every event of one type in a window of ledger time: RFC 8785 JSON plus one newline. */
export const WindowProofFile = z.strictObject({
  format: z.literal(windowProofFormat),
  project: Project,
  type: LeafName,
  /** First instant of the window. */
  from: Timestamp,
  /** First instant behind it. */
  to: Timestamp,
  /** SHA-256 of the RFC 8785 form of `{from, project, to, type}`: a slip in the question is seen too. */
  question_sha256: Sha256Hex,
  /** The last event of the type before the window; null when the window begins with the first. */
  before: PlacedLeaf.nullable(),
  leaves: z.array(PlacedLeaf).max(proofLeavesMax),
  /** The first event of the type behind the window; null when there is none yet. */
  after: PlacedLeaf.nullable(),
  /** The last leaf that the seal covers, when it shows that the window was over by then. */
  last: PlacedLeaf.nullable(),
  ...common,
})
export type WindowProofFile = z.infer<typeof WindowProofFile>
