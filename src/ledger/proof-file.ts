import type * as z from 'zod'
import { canonicalText } from '../contracts/canonical-json.js'
import { EvidenceError } from '../contracts/errors.js'
import type { Leaf } from '../contracts/leaf.js'
import { ProofFile, proofFileBytesMax, proofFormat } from '../contracts/proof-file.js'
import { type Checkpoint, parseSignedCheckpoint } from './checkpoint.js'
import { base64Of, bytesOfBase64, hexOf, textOf, utf8 } from './encoding.js'
import type { RecordedEvent, SaltedBytes } from './event-store.js'
import { dataDigest, metadataDigest, parseLeaf } from './leaf.js'
import { leafHash, verifyInclusion } from './merkle.js'
import {
  ed25519Note,
  type Note,
  parseVkey,
  type ProofCrypto,
  verifyNoteSignature,
  type VerifyingKey,
} from './note.js'
import type { KeyTerm } from './key-succession.js'
import { formatTlogProof, parseTlogProof, type TlogProof } from './tlog-proof.js'
import { verifyPolicy, type WitnessPolicy } from './witness-policy.js'

/** One step of a verification that held, with what was computed; all values are text to show. */
export interface ProofStep {
  readonly name:
    | 'form'
    | 'leaf'
    | 'data'
    | 'metadata'
    | 'inclusion'
    | 'signatures'
    | 'trust'
    | 'list'
    | 'seal'
    | 'since'
    | 'tree'
  readonly summary: string
  readonly computed: Readonly<Record<string, string>>
}

/** A proof that verifies: what it is about and why it holds. */
export interface ProofReport {
  readonly leaf: Leaf
  readonly position: number
  readonly checkpoint: Checkpoint
  /** Bytes that match their digest; null when the file carries none. */
  readonly data: Uint8Array | null
  readonly metadata: Uint8Array | null
  /** Verifier keys whose signatures hold, in the order of the lines. */
  readonly signedBy: readonly string[]
  /** Those of them that the caller named; empty only on the way to PROOF_KEY_UNKNOWN. */
  readonly trusted: readonly string[]
  /** Witnesses of the caller's policy that cosigned, by their names there. */
  readonly witnesses: readonly string[]
  readonly steps: readonly ProofStep[]
}

/** The text of a proof file: RFC 8785 JSON plus one newline. `keys` follow the signature lines of the checkpoint. */
export function buildProofFile(
  event: Pick<RecordedEvent, 'position' | 'leafText' | 'data' | 'metadata'>,
  path: readonly Uint8Array[],
  checkpointNote: string,
  keys: readonly string[],
): string {
  const part = (salted: SaltedBytes | null) =>
    salted === null ? null : { bytes: base64Of(salted.bytes), salt: base64Of(salted.salt) }
  const file: ProofFile = {
    format: proofFormat,
    leaf: event.leafText,
    data: part(event.data),
    metadata: part(event.metadata),
    proof: formatTlogProof({ index: event.position, path, checkpointNote }),
    keys: [...keys],
  }
  return `${canonicalText(file)}\n`
}

/** Whom the caller trusts. */
export interface ProofTrust {
  /** Verifier keys of logs that were named or pinned. */
  readonly keys: readonly string[]
  /** What is proven of their terms: such a key counts for nothing outside its own. */
  readonly terms?: readonly KeyTerm[]
  /** Logs, witnesses and how many of these must have cosigned; `keys` count as further logs. */
  readonly policy?: WitnessPolicy
}

/**
 * Verifies a proof file without network and without us. Only a key named like the origin of the
 * checkpoint counts as one of the log.
 *
 * @throws EvidenceError PROOF_MALFORMED; PROOF_MISMATCH naming what does not match;
 * PROOF_KEY_UNKNOWN or PROOF_NOT_WITNESSED when the proof is sound but no trusted key, or too few
 * witnesses, signed it (details `{report}`).
 */
export function verifyProofFile(
  file: string | Uint8Array,
  trust: ProofTrust,
  crypto: ProofCrypto,
): ProofReport {
  const parsed = parseProofFile(file)
  const leaf = parseLeaf(parsed.leaf)
  const hash = leafHash(crypto.sha256, utf8(parsed.leaf))
  const proof = parseTlogProof(parsed.proof)
  if (proof.extra !== undefined) throw malformed('its tlog-proof has an extra line')
  const { note, checkpoint } = parseSignedCheckpoint(proof.checkpointNote)
  const keys = parsed.keys.map((vkey) => parseVkey(crypto.sha256, vkey))
  const data = openPart(parsed.data)
  const metadata = openPart(parsed.metadata)
  const steps: ProofStep[] = [
    { name: 'form', summary: 'The file is in its only form', computed: { format: parsed.format } },
    {
      name: 'leaf',
      summary: `The leaf of event ${leaf.id} was hashed`,
      computed: { leaf_hash: hexOf(hash) },
    },
    checkDigest('data', data, leaf.data_sha256, (part) =>
      dataDigest(crypto.sha256, part.salt, part.bytes),
    ),
    checkDigest('metadata', metadata, leaf.metadata_sha256, (part) =>
      metadataDigest(crypto.sha256, part.salt, part.bytes),
    ),
    checkSignatures(crypto, note, checkpoint, keys),
    checkInclusion(crypto, hash, proof, checkpoint),
  ]
  const report = {
    leaf,
    position: proof.index,
    checkpoint,
    data: data?.bytes ?? null,
    metadata: metadata?.bytes ?? null,
    signedBy: parsed.keys,
    trusted: [],
    witnesses: [],
    steps,
  }
  return judgeTrust(report, { note, keys }, trust, crypto)
}

/** What is known of any proof whose signatures hold. */
export interface SoundProof {
  readonly checkpoint: Checkpoint
  readonly signedBy: readonly string[]
  readonly trusted: readonly string[]
  readonly witnesses: readonly string[]
  readonly steps: readonly ProofStep[]
}

/**
 * Whether those signed whom the caller trusts; the proof itself is sound.
 *
 * @throws EvidenceError PROOF_KEY_UNKNOWN, PROOF_NOT_WITNESSED with the report in the details.
 */
export function judgeTrust<Report extends SoundProof>(
  report: Report,
  { note, keys }: { readonly note: Note; readonly keys: readonly VerifyingKey[] },
  trust: ProofTrust,
  crypto: ProofCrypto,
): Report {
  const { signedBy, checkpoint, steps } = report
  const listed = [...trust.keys, ...(trust.policy?.logs ?? []).map(({ vkey }) => vkey)]
  const named = signedBy.filter((vkey, i) => {
    const key = keys[i]
    return key?.name === checkpoint.origin && key.type === ed25519Note && listed.includes(vkey)
  })
  const trusted = named.filter((vkey) => isInTerm(trust.terms, vkey, checkpoint.size))
  if (trusted.length === 0 && named.length > 0)
    throw new EvidenceError(
      'PROOF_MISMATCH',
      `the checkpoint of size ${checkpoint.size} is signed by ${named.join(', ')}, whose term is another: another key signed that part of the ledger`,
    )
  if (trusted.length === 0) {
    throw new EvidenceError(
      'PROOF_KEY_UNKNOWN',
      `the proof is sound, but signed by ${signedBy.join(', ')}, which you have not named`,
      { details: { report } },
    )
  }
  const witnesses = witnessesBy(trust, note, { ...report, trusted }, crypto)
  const summary =
    witnesses.length === 0
      ? 'A key that you named signed the checkpoint'
      : `A key that you named signed the checkpoint, and ${witnesses.join(', ')} witnessed it`
  const computed = {
    keys: trusted.join(' '),
    ...(witnesses.length === 0 ? {} : { witnesses: witnesses.join(' ') }),
  }
  return { ...report, trusted, witnesses, steps: [...steps, { name: 'trust', summary, computed }] }
}

const isInTerm = (terms: readonly KeyTerm[] = [], vkey: string, size: number): boolean =>
  terms.every((term) => term.vkey !== vkey || (term.from <= size && size <= term.to))

function witnessesBy(
  { keys, policy }: ProofTrust,
  note: Note,
  report: SoundProof,
  crypto: ProofCrypto,
): readonly string[] {
  if (policy === undefined) return []
  const named = keys.map((vkey) => parseVkey(crypto.sha256, vkey))
  try {
    return verifyPolicy(crypto, policy, note, named).witnesses.map(({ witness }) => witness.name)
  } catch (error) {
    if (!(error instanceof EvidenceError) || error.code !== 'PROOF_NOT_WITNESSED') throw error
    throw new EvidenceError(error.code, `the proof is sound, but ${error.message}`, {
      cause: error,
      details: { ...error.details, report },
    })
  }
}

const malformed = (detail: string, cause?: unknown) =>
  new EvidenceError('PROOF_MALFORMED', `the proof file is malformed: ${detail}`, { cause })

/** Places of a malformed file that its error names. */
const placesMax = 5

/** Reads a file of one format; only its one canonical text passes, so that no byte of it is free. */
export function parseCanonical<File>(schema: z.ZodType<File>, file: string | Uint8Array): File {
  if (file.length > proofFileBytesMax)
    throw malformed(`it is larger than ${proofFileBytesMax} bytes`)
  const text = typeof file === 'string' ? file : textOf(file)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw malformed('it is not JSON', cause)
  }
  const parsed = schema.safeParse(json)
  if (!parsed.success) {
    const places = parsed.error.issues.map((issue) => issue.path.join('.') || issue.message)
    throw malformed(`see ${places.slice(0, placesMax).join(', ')}`, parsed.error)
  }
  if (!text.isWellFormed() || `${canonicalText(parsed.data)}\n` !== text) {
    throw malformed('it is not RFC 8785 JSON plus one newline')
  }
  return parsed.data
}

/** Reads a proof file. @throws EvidenceError PROOF_MALFORMED. */
export const parseProofFile = (file: string | Uint8Array): ProofFile =>
  parseCanonical(ProofFile, file)

const openPart = (part: ProofFile['data']): SaltedBytes | null =>
  part === null ? null : { bytes: bytesOfBase64(part.bytes), salt: bytesOfBase64(part.salt) }

function checkDigest(
  name: 'data' | 'metadata',
  part: SaltedBytes | null,
  expected: string,
  digest: (part: SaltedBytes) => Uint8Array,
): ProofStep {
  if (part === null) {
    return {
      name,
      summary: `The ${name} was left out or erased; its digest stays in the leaf`,
      computed: { digest: expected },
    }
  }
  const computed = hexOf(digest(part))
  if (computed !== expected) {
    throw new EvidenceError('PROOF_MISMATCH', `the ${name} does not match its digest in the leaf`, {
      details: { computed, expected },
    })
  }
  return {
    name,
    summary: `The ${name} matches its digest in the leaf`,
    computed: { digest: computed },
  }
}

/** Checks every signature line against the key that the file names for it. @throws EvidenceError PROOF_MISMATCH. */
export function checkSignatures(
  crypto: ProofCrypto,
  note: Note,
  checkpoint: Checkpoint,
  keys: readonly VerifyingKey[],
): ProofStep {
  if (keys.length !== note.signatures.length) {
    throw new EvidenceError(
      'PROOF_MISMATCH',
      `the file names ${keys.length} keys for ${note.signatures.length} signature lines of the checkpoint`,
    )
  }
  keys.forEach((key, i) => {
    const line = note.signatures[i]
    if (line !== undefined) verifyNoteSignature(crypto, note, line, key)
  })
  if (!keys.some((key) => key.name === checkpoint.origin && key.type === ed25519Note)) {
    throw new EvidenceError(
      'PROOF_MISMATCH',
      `no key of the origin ${checkpoint.origin} signed the checkpoint`,
    )
  }
  return {
    name: 'signatures',
    summary: `The checkpoint of ${checkpoint.origin} is signed by ${keys.map((key) => `${key.name} (${key.keyId})`).join(', ')}`,
    computed: {
      origin: checkpoint.origin,
      size: String(checkpoint.size),
      root: hexOf(checkpoint.root),
    },
  }
}

function checkInclusion(
  crypto: ProofCrypto,
  hash: Uint8Array,
  proof: TlogProof,
  checkpoint: Checkpoint,
): ProofStep {
  const { index, path } = proof
  verifyInclusion(crypto.sha256, {
    leafHash: hash,
    index,
    size: checkpoint.size,
    path,
    root: checkpoint.root,
  })
  return {
    name: 'inclusion',
    summary: `The leaf is number ${index} of ${checkpoint.size} under the root of the checkpoint`,
    computed: {
      index: String(index),
      size: String(checkpoint.size),
      path: path.map(hexOf).join(' '),
      root: hexOf(checkpoint.root),
    },
  }
}
