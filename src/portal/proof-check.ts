import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { EvidenceError } from '../contracts/errors.js'
import { hexOf } from '../ledger/encoding.js'
import type { ProofCrypto } from '../ledger/note.js'
import { type ProofReport, type ProofStep, verifyProofFile } from '../ledger/proof-file.js'

/** One inner node on the way from the leaf to the root, as the verification hashed it. */
export interface TreeNode {
  readonly left: string
  readonly right: string
  readonly hash: string
}

export type ProofVerdict =
  | {
      readonly result: 'verified'
      readonly report: ProofReport
      readonly nodes: readonly TreeNode[]
    }
  | {
      readonly result: 'unknown-key'
      readonly report: ProofReport
      readonly nodes: readonly TreeNode[]
      readonly message: string
    }
  | {
      readonly result: 'refused'
      readonly message: string
      readonly remedy: string
      readonly details: readonly (readonly [string, string])[]
    }

const nodeBytes = 65

/** The crypto of this browser, which notes every inner node of the tree that is hashed. */
function watchedCrypto(nodes: TreeNode[]): ProofCrypto {
  return {
    sha256: (bytes) => {
      const hash = sha256(bytes)
      if (bytes.length === nodeBytes && bytes[0] === 1) {
        nodes.push({
          left: hexOf(bytes.subarray(1, 33)),
          right: hexOf(bytes.subarray(33)),
          hash: hexOf(hash),
        })
      }
      return hash
    },
    verifySignature: (publicKey, message, signature) => {
      try {
        return ed25519.verify(signature, message, publicKey)
      } catch {
        // The library throws for bytes that are no signature or no key: they do not verify.
        return false
      }
    },
  }
}

/** A report that travels with PROOF_KEY_UNKNOWN, put there by `verifyProofFile`. */
const reportOf = (error: EvidenceError): ProofReport | undefined =>
  error.code === 'PROOF_KEY_UNKNOWN' && 'report' in error.details
    ? (error.details['report'] as ProofReport)
    : undefined

/** A sound proof of another event proves nothing about the one that was asked for. */
function checkSubject(report: ProofReport, event: string) {
  if (report.leaf.id === event) return
  throw new EvidenceError('PROOF_MISMATCH', 'the proof is sound, but of another event', {
    details: { asked: event, answered: report.leaf.id },
  })
}

/** Verifies a proof file in this browser, with the code that the server and the command line use. */
export function checkProof(
  text: string,
  asked: { readonly event: string; readonly pinnedKey: string },
): ProofVerdict {
  const nodes: TreeNode[] = []
  try {
    const trust = { keys: [asked.pinnedKey] }
    const report = verifyProofFile(text, trust, watchedCrypto(nodes))
    checkSubject(report, asked.event)
    return { result: 'verified', report, nodes }
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    const report = reportOf(error)
    if (report !== undefined)
      return { result: 'unknown-key', report, nodes, message: error.message }
    return {
      result: 'refused',
      message: error.message,
      remedy: error.remedy,
      details: Object.entries(error.details).map(([name, value]) => [name, String(value)]),
    }
  }
}

export const stepTitle: Readonly<Record<ProofStep['name'], string>> = {
  form: 'Form of the file',
  leaf: 'Leaf hash',
  data: 'Data',
  metadata: 'Metadata',
  inclusion: 'Path to the root',
  list: 'Events of the stream or window',
  seal: 'Sealed heads',
  since: 'Leaves since the seal',
  tree: 'Leaves under one root',
  signatures: 'Signed checkpoint',
  trust: 'Key that you know',
}
