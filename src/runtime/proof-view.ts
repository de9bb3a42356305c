import { EvidenceError } from '../contracts/errors.js'
import type { ProofSource, RecordedEvent } from '../ledger/event-store.js'
import { parseNote } from '../ledger/note.js'
import { buildProofFile } from '../ledger/proof-file.js'
import { formatTlogProof } from '../ledger/tlog-proof.js'

const coveringTimeoutMs = 10_000

/**
 * The proof file of one event, under the first checkpoint that covers it; waits for that checkpoint
 * if it is not published yet. `vkeys` are the keys that ever signed this ledger.
 *
 * @throws EvidenceError TREE_RANGE, LEDGER_READ_ONLY.
 */
export async function proofOf(
  event: RecordedEvent,
  proofs: Pick<ProofSource, 'checkpointCovering' | 'proveInclusion'>,
  vkeys: readonly string[],
): Promise<string> {
  const { note, size } = await proofs.checkpointCovering(event.position, coveringTimeoutMs)
  const path = await proofs.proveInclusion(event.position, size)
  return buildProofFile(event, path, note, keysOf(note, vkeys))
}

/**
 * The same without the event: the C2SP tlog-proof of its leaf. Whoever verifies it brings the leaf.
 *
 * @throws EvidenceError TREE_RANGE, LEDGER_READ_ONLY.
 */
export async function tlogProofOf(
  position: number,
  proofs: Pick<ProofSource, 'checkpointCovering' | 'proveInclusion'>,
): Promise<string> {
  const { note, size } = await proofs.checkpointCovering(position, coveringTimeoutMs)
  const path = await proofs.proveInclusion(position, size)
  return formatTlogProof({ index: position, path, checkpointNote: note })
}

/** The verifier keys of the signature lines of a checkpoint, in their order. */
function keysOf(note: string, vkeys: readonly string[]): readonly string[] {
  return parseNote(note).signatures.map(({ name, keyId }) => {
    const vkey = vkeys.find((one) => one.startsWith(`${name}+${keyId}+`))
    if (vkey === undefined)
      throw new EvidenceError(
        'TREE_RANGE',
        `the key ${name}+${keyId} that signed the checkpoint is not known here`,
      )
    return vkey
  })
}
