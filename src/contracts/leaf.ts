import * as z from 'zod'
import { Decimal, Sha256Hex, Timestamp, Uuid, Writer } from './identifiers.js'

export const leafPrefix = 'fractalops/leaf/1\n'
export const leafBytesMax = 4096
export const dataLabel = 'fractalops/data/1\0'
export const metadataLabel = 'fractalops/metadata/1\0'
export const saltBytes = 32

const encoder = new TextEncoder()
// eslint-disable-next-line no-control-regex -- control characters are what is refused
const withoutControls = /^[^\u0000-\u001f\u007f]+$/

/**
 * Whether a schema of `limited` takes the text, at a twentieth of the cost: for what is checked on every
 * append. A test holds the two together.
 */
export const isLimited = (text: string, bytesMax: number): boolean =>
  withoutControls.test(text) &&
  (3 * text.length <= bytesMax || encoder.encode(text).length <= bytesMax) &&
  text.isWellFormed()

/** A string without control characters, limited in UTF-8 bytes. */
const limited = (bytesMax: number) =>
  z
    .string()
    .min(1)
    // eslint-disable-next-line no-control-regex -- control characters are what is refused
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'no control characters')
    .refine((text) => encoder.encode(text).length <= bytesMax, `at most ${bytesMax} bytes in UTF-8`)
    .refine((text) => text.isWellFormed(), 'no lone surrogates')

export const leafStreamBytesMax = 512
export const leafNameBytesMax = 256
export const LeafProject = limited(64)
export const LeafStream = limited(leafStreamBytesMax)
export const LeafName = limited(leafNameBytesMax)

/**
 * What the ledger commits to for ever: one leaf of the tree is `fractalops/leaf/1\n` followed by
 * the RFC 8785 form of this object. Everything here may become public.
 */
export const Leaf = z.strictObject({
  actor: LeafName,
  content_type: LeafName,
  /** SHA-256(`fractalops/data/1\0` ‖ salt ‖ data bytes). */
  data_sha256: Sha256Hex,
  id: Uuid,
  /** SHA-256(`fractalops/metadata/1\0` ‖ salt ‖ metadata bytes). */
  metadata_sha256: Sha256Hex,
  /** RFC 6962 leaf hash of the previous event of this project and stream; null on the first. */
  prev: Sha256Hex.nullable(),
  project: LeafProject,
  /** Place in the stream, dense from 0. */
  revision: Decimal,
  stream: LeafStream,
  /** The ledger's own clock; never decreases with the position. */
  time: Timestamp,
  type: LeafName,
  /** Place among the events of this project and type, dense from 0. */
  type_seq: Decimal,
  /** Version of the contract, "0" when there is none. */
  version: Decimal,
  writer: Writer,
})
export type Leaf = z.infer<typeof Leaf>

/** What travels beside the data; absent members are left out, `{}` when there is none. */
export const EventMetadata = z.strictObject({
  occurred_at: z.iso.datetime({ offset: true }).optional(),
  source: z.string().max(2048).optional(),
  source_id: z.string().max(2048).optional(),
  correlation_id: z.string().max(256).optional(),
  causation_id: z.string().max(256).optional(),
  traceparent: z.string().max(64).optional(),
})
export type EventMetadata = z.infer<typeof EventMetadata>
