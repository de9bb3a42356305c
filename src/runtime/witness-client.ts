import { EvidenceError } from '../contracts/errors.js'
import type { ProofSource, PublishedCheckpoint } from '../ledger/event-store.js'
import {
  type NoteSignature,
  parseNote,
  parseSignatureLines,
  type ProofCrypto,
  verifyNoteSignature,
} from '../ledger/note.js'
import type { PolicyWitness } from '../ledger/witness-policy.js'
import {
  formatAddCheckpoint,
  parseSizeBody,
  type PostText,
  sizeContentType,
} from '../ledger/witness-request.js'

export type WitnessOutcome =
  | { readonly kind: 'cosigned'; readonly lines: readonly NoteSignature[] }
  /** It saw a tree that ours does not extend. */
  | { readonly kind: 'unreconciled'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }

/** Requests for one checkpoint: the first may only teach which size the witness saw last. */
const requestsMax = 3

/**
 * Asks one witness to cosign a checkpoint. `old` is the size that it is thought to have seen; when it
 * says another, it is asked again with that. Lines of keys that the policy does not name are ignored.
 */
export async function askWitness(
  parts: {
    readonly post: PostText
    readonly proofs: Pick<ProofSource, 'checkpoint' | 'proveConsistency'>
    readonly crypto: ProofCrypto
    readonly signal: AbortSignal
  },
  witness: PolicyWitness,
  checkpoint: PublishedCheckpoint,
  known: number,
): Promise<WitnessOutcome> {
  const { post, proofs, crypto, signal } = parts
  const url = `${(witness.url ?? '').replace(/\/+$/, '')}/add-checkpoint`
  let old = known
  for (let request = 0; request < requestsMax; request += 1) {
    const isFirst = old === 0 || old === checkpoint.size
    const proof = isFirst ? [] : await proofs.proveConsistency(old, checkpoint.size)
    const body = formatAddCheckpoint({ old, proof, note: checkpoint.note })
    const { status, contentType, text } = await post(url, body, signal)
    if (status === 200) return cosignatures(crypto, witness, checkpoint, text)
    if (status === 422 || (status === 409 && !contentType.startsWith(sizeContentType)))
      return {
        kind: 'unreconciled',
        reason: `${witness.name} saw another tree than ours: it answers ${status} to size ${checkpoint.size} from ${old}`,
      }
    if (status === 403)
      return {
        kind: 'failed',
        reason:
          'it knows no key that signed the checkpoint: give its operator the present one (403)',
      }
    if (status !== 409) return { kind: 'failed', reason: `it answers ${status}` }
    const seen = sizeOf(text)
    if (seen === undefined) return { kind: 'failed', reason: 'it answers 409 without a size' }
    if (seen > proofs.checkpoint().size)
      return {
        kind: 'unreconciled',
        reason: `${witness.name} saw ${seen} leaves, this ledger has ${checkpoint.size}`,
      }
    // It saw a newer one of ours meanwhile: the next round asks for that.
    if (seen > checkpoint.size) return { kind: 'failed', reason: 'it is ahead of this checkpoint' }
    old = seen
  }
  return { kind: 'failed', reason: 'it says another size each time' }
}

const sizeOf = (text: string): number | undefined => {
  try {
    return parseSizeBody(text)
  } catch (error) {
    if (error instanceof EvidenceError) return undefined
    throw error
  }
}

function cosignatures(
  crypto: ProofCrypto,
  { key }: PolicyWitness,
  checkpoint: PublishedCheckpoint,
  text: string,
): WitnessOutcome {
  try {
    const note = parseNote(checkpoint.note)
    const lines = parseSignatureLines(text).filter(
      ({ name, keyId }) => name === key.name && keyId === key.keyId,
    )
    const [line] = lines
    if (line === undefined) return { kind: 'failed', reason: 'it signed with another key' }
    verifyNoteSignature(crypto, note, line, key)
    return { kind: 'cosigned', lines: [line] }
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return { kind: 'failed', reason: error.message }
  }
}
