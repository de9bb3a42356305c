import { canonicalBytes } from '../contracts/canonical-json.js'
import type { PlacedLeaf, SealPart, WindowProofFile } from '../contracts/completeness.js'
import { EvidenceError } from '../contracts/errors.js'
import type { Leaf } from '../contracts/leaf.js'
import { verifyBatchInclusion } from './batch-proof.js'
import { type Checkpoint, parseDecimal, parseSignedCheckpoint } from './checkpoint.js'
import { bytesOfBase64, bytesOfHex, equalBytes, hexOf, utf8 } from './encoding.js'
import { headKey, verifyHead } from './heads.js'
import { dataDigest, parseLeaf } from './leaf.js'
import { leafHash, type Sha256 } from './merkle.js'
import { type Note, parseVkey, type ProofCrypto, type VerifyingKey } from './note.js'
import { checkSignatures, type ProofStep, type SoundProof } from './proof-file.js'
import { isSealLeaf, type Seal, sealOf } from './seals.js'

/** A leaf of a file, read and hashed. */
export interface OpenLeaf {
  readonly index: number
  readonly leaf: Leaf
  readonly leafHash: Uint8Array
}

/** What both formats carry to tie their lists to a checkpoint. */
export interface CheckpointParts {
  readonly seal: SealPart | null
  readonly since: string[] | null
  readonly nodes: string[]
  readonly checkpoint: string
  readonly keys: string[]
}

/** What of a list is known by its number: events of one stream or of one type. */
export interface Numbered extends OpenLeaf {
  readonly number: number
}

/** What the lists of a file are checked against; nothing of it is trusted before `tie`. */
export interface Tied {
  readonly checkpoint: Checkpoint
  /** The signed checkpoint and the keys of its lines. */
  readonly signed: { readonly note: Note; readonly keys: readonly VerifyingKey[] }
  readonly seal: Seal | null
  /** Every leaf from `sinceSize` to the end of the checkpoint; null when the file leaves them out. */
  readonly since: readonly OpenLeaf[] | null
  readonly sinceSize: number
  readonly steps: readonly ProofStep[]
}

/** The parts of a report that both formats share. */
export interface CompletenessReport extends SoundProof {
  readonly project: string
  /** Plainly what is proven, and up to where. */
  readonly statement: string
  readonly events: number
  readonly seal: Seal | null
  /** A position that the checkpoint covers: the last one that the statement rests on. */
  readonly position: number
}

export const mismatch = (reason: string, details: Record<string, unknown> = {}) =>
  new EvidenceError('PROOF_MISMATCH', reason, { details })
const malformed = (detail: string, cause?: unknown) =>
  new EvidenceError('PROOF_MALFORMED', `the proof file is malformed: ${detail}`, { cause })

export function openLeaf(crypto: ProofCrypto, { index, leaf }: PlacedLeaf): OpenLeaf {
  return {
    index: parseDecimal(index),
    leaf: parseLeaf(leaf),
    leafHash: leafHash(crypto.sha256, utf8(leaf)),
  }
}

/** Binds a window proof to its question, of which no leaf tells. */
export const questionDigest = (
  sha256: Sha256,
  { from, project, to, type }: Pick<WindowProofFile, 'from' | 'project' | 'to' | 'type'>,
): string => hexOf(sha256(canonicalBytes({ from, project, to, type })))

/**
 * Ties the leaves of a file to its checkpoint: every signature, the seal and its data, the leaves since
 * the seal, and the root over all of them. @throws EvidenceError PROOF_MALFORMED, PROOF_MISMATCH.
 */
export function tie(
  crypto: ProofCrypto,
  parts: CheckpointParts,
  listed: readonly OpenLeaf[],
): Tied {
  const { note, checkpoint } = parseSignedCheckpoint(parts.checkpoint)
  const keys = parts.keys.map((vkey) => parseVkey(crypto.sha256, vkey))
  const sealLeaf = parts.seal === null ? null : openLeaf(crypto, parts.seal)
  const seal = sealLeaf === null ? null : openSeal(crypto, checkpoint.origin, parts.seal, sealLeaf)
  const sinceSize = seal?.size ?? 0
  const since =
    parts.since?.map((leaf, i) => openLeaf(crypto, { index: String(sinceSize + i), leaf })) ?? null
  if (since !== null && sinceSize + since.length !== checkpoint.size)
    throw mismatch(
      `the file holds ${since.length} of the ${checkpoint.size - sinceSize} leaves from position ${sinceSize} to the checkpoint`,
    )
  const all = inOrder([...listed, ...(sealLeaf === null ? [] : [sealLeaf]), ...(since ?? [])])
  verifyBatchInclusion(crypto.sha256, {
    leaves: all,
    size: checkpoint.size,
    hashes: parts.nodes.map(hashOf),
    root: checkpoint.root,
  })
  const signatures = checkSignatures(crypto, note, checkpoint, keys)
  const steps: ProofStep[] = [
    {
      name: 'tree',
      summary: `${all.length} leaves stand where they should among the ${checkpoint.size} of the checkpoint`,
      computed: { root: hexOf(checkpoint.root), size: String(checkpoint.size) },
    },
    signatures,
  ]
  return { checkpoint, signed: { note, keys }, seal, since, sinceSize, steps }
}

const hashOf = (text: string): Uint8Array => {
  const hash = bytesOfBase64(text)
  if (hash.length !== 32) throw malformed('a hash has not 32 bytes')
  return hash
}

/** By position, each once. */
function inOrder(leaves: readonly OpenLeaf[]): readonly OpenLeaf[] {
  const placed = new Map<number, OpenLeaf>()
  for (const leaf of leaves) {
    const other = placed.get(leaf.index)
    if (other !== undefined && !equalBytes(other.leafHash, leaf.leafHash))
      throw mismatch(`the file holds two leaves for position ${leaf.index}`)
    placed.set(leaf.index, leaf)
  }
  return [...placed.values()].sort((a, b) => a.index - b.index)
}

function openSeal(
  crypto: ProofCrypto,
  origin: string,
  part: SealPart | null,
  { leaf, index }: OpenLeaf,
): Seal {
  if (part === null || !isSealLeaf(crypto.sha256, origin, leaf))
    throw mismatch(`the seal is no seal of ${origin}`)
  const data = bytesOfBase64(part.data.bytes)
  if (hexOf(dataDigest(crypto.sha256, bytesOfBase64(part.data.salt), data)) !== leaf.data_sha256)
    throw mismatch('the data of the seal does not match its digest in the leaf')
  const seal = readSeal(leaf, index, data)
  if (seal.size > index)
    throw mismatch(`the seal at position ${index} says that it covers ${seal.size} leaves`)
  return seal
}

function readSeal(leaf: Leaf, index: number, data: Uint8Array): Seal {
  try {
    return sealOf(leaf, index, data)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw malformed(`its seal cannot be read: ${cause.message}`, cause)
  }
}

/**
 * Checks what the map of the seal says of a stream or type against its events in the file, which may
 * begin late but leave out none in between. @throws EvidenceError PROOF_MISMATCH.
 */
export function checkHead(
  crypto: ProofCrypto,
  part: SealPart,
  { size, root }: Seal,
  subject: { readonly kind: 'stream' | 'type'; readonly project: string; readonly name: string },
  known: readonly Numbered[],
): ProofStep {
  const { kind, project, name } = subject
  const head =
    part.head === null
      ? null
      : { number: parseDecimal(part.head.number), leafHash: bytesOfHex(part.head.leaf_hash) }
  const { siblings, other } = part.way
  verifyHead(crypto.sha256, bytesOfHex(root), headKey(crypto.sha256, kind, project, name), head, {
    siblings: siblings.map((hash) => (hash === null ? null : hashOf(hash))),
    other:
      other === null
        ? null
        : {
            key: bytesOfHex(other.key),
            number: parseDecimal(other.number),
            leafHash: bytesOfHex(other.leaf_hash),
          },
  })
  const last = head?.number ?? -1
  for (const { number, index, leafHash: hash } of known) {
    if (number <= last !== index < size)
      throw mismatch(
        `the seal covers the first ${size} leaves and ${name} up to number ${last}, but number ${number} stands at position ${index}`,
      )
    if (head !== null && number === last && !equalBytes(hash, head.leafHash))
      throw mismatch(`the seal names another event as number ${number} of ${name}`)
  }
  const end = known.at(-1)?.number ?? -1
  if (end < last)
    throw mismatch(`the seal says that ${name} reached number ${last}, the file ends at ${end}`)
  return {
    name: 'seal',
    summary:
      head === null
        ? `The seal says that none of the first ${size} leaves is of ${name}`
        : `The seal names number ${last} as the last of ${name} among the first ${size} leaves`,
    computed: { root, size: String(size) },
  }
}
