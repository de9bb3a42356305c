import * as z from 'zod'
import { VerifierKey } from './ledger.js'

export const proofFormat = 'fractalops/proof/1'
export const proofFileBytesMax = 64 * 1024 * 1024

/** Standard base64, padded, canonical: the only text for its bytes. */
export const Base64 = z
  .string()
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'base64')

/** Bytes with the salt of their digest. */
export const Part = z.strictObject({ bytes: Base64, salt: Base64 })

/**
 * What a stranger needs to check one event offline: RFC 8785 JSON plus one newline.
 * `data` and `metadata` are null after their erasure; the proof of the leaf stays.
 */
export const ProofFile = z.strictObject({
  format: z.literal(proofFormat),
  /** Leaf text including its `fractalops/leaf/1\n` prefix. */
  leaf: z.string().max(8192),
  data: Part.nullable(),
  metadata: Part.nullable(),
  /** C2SP tlog-proof text: index, inclusion path, checkpoint with its signatures. */
  proof: z.string().max(1_048_576),
  /** Exactly the keys of the signature lines, in their order. */
  keys: z.array(VerifierKey).min(1).max(128),
})
export type ProofFile = z.infer<typeof ProofFile>
