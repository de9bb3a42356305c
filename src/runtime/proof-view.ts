import { setTimeout as pause } from 'node:timers/promises'
import { canonicalText } from '../contracts/canonical-json.js'
import type { StreamProofFile, WindowProofFile } from '../contracts/completeness.js'
import { EvidenceError } from '../contracts/errors.js'
import { keyCreated } from '../contracts/ledger.js'
import { proofFileBytesMax } from '../contracts/proof-file.js'
import type { QueryProofFile } from '../contracts/query-proof.js'
import type { ProofSource, PublishedCheckpoint, RecordedEvent } from '../ledger/event-store.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { parseNote } from '../ledger/note.js'
import { buildProofFile } from '../ledger/proof-file.js'
import { keyStreamOf, type LedgerKey, presentKey } from '../ledger/signing-keys.js'
import { formatTlogProof } from '../ledger/tlog-proof.js'
import type { WitnessedCheckpoints } from '../ledger/witnessed.js'

const coveringTimeoutMs = 10_000

/**
 * The proof file of one event, under the first checkpoint that covers it and that its key signed; waits
 * for that checkpoint if it is not published yet. `witnesses` are the keys of others that may have signed.
 *
 * @throws EvidenceError TREE_RANGE, LEDGER_READ_ONLY.
 */
export async function proofOf(
  event: RecordedEvent,
  proofs: Proving,
  keys: readonly LedgerKey[],
  witnesses: readonly string[] = [],
): Promise<string> {
  const vkeys = [...keys.map(({ vkey }) => vkey), ...witnesses]
  const { note, size } = await covering(event.position, proofs, keyOf(event, keys))
  const path = await proofs.proveInclusion(event.position, size)
  return buildProofFile(event, path, note, keysOf(note, vkeys))
}

/**
 * Whose checkpoint an event is proven under. The present key's: who meets the ledger now knows no other. What
 * tells of a key stands under the checkpoint with which that key took over: whoever trusts either of
 * the two that signed it can go on to the other.
 */
const keyOf = ({ leaf }: RecordedEvent, keys: readonly LedgerKey[]): LedgerKey =>
  (leaf.type === keyCreated.type && leaf.writer === 'ledger'
    ? keys.find(({ vkey }) => leaf.stream === keyStreamOf(nodeCrypto.sha256, vkey))
    : undefined) ?? presentKey(keys)

const covering = (position: number, proofs: Proving, { signingFrom }: LedgerKey) =>
  proofs.checkpointCovering(Math.max(position, signingFrom - 1), coveringTimeoutMs)

/**
 * The same without the event: the C2SP tlog-proof of its leaf. Whoever verifies it brings the leaf.
 *
 * @throws EvidenceError TREE_RANGE, LEDGER_READ_ONLY.
 */
export async function tlogProofOf(
  position: number,
  proofs: Proving,
  keys: readonly LedgerKey[],
): Promise<string> {
  const { note, size } = await covering(position, proofs, presentKey(keys))
  const path = await proofs.proveInclusion(position, size)
  return formatTlogProof({ index: position, path, checkpointNote: note })
}

const witnessedLookMs = 100

type Proving = Pick<ProofSource, 'checkpointCovering' | 'proveInclusion'>

/**
 * Under which checkpoints proofs stand: witnessed ones when that is asked or required, and waited for;
 * otherwise a witnessed one where it is at hand, or the first that the ledger signed.
 */
export function provingUnder(
  ledger: Proving,
  witnessed: WitnessedCheckpoints | undefined,
  asked: boolean | undefined,
): Proving {
  const must = asked === true || witnessed?.required === true
  if (asked === false && !must) return ledger
  return {
    proveInclusion: (position, size) => ledger.proveInclusion(position, size),
    async checkpointCovering(position, timeoutMs = coveringTimeoutMs) {
      for (let waitedMs = 0; witnessed !== undefined; waitedMs += witnessedLookMs) {
        const found = await witnessed.covering(position)
        if (found !== undefined) return found
        if (!must || waitedMs >= timeoutMs) break
        await pause(witnessedLookMs)
      }
      if (!must) return ledger.checkpointCovering(position, timeoutMs)
      throw notWitnessed(
        witnessed === undefined
          ? 'this ledger has no witnesses'
          : `no witnessed checkpoint covers position ${position} yet`,
      )
    },
  }
}

/** The checkpoint that readers are shown. */
export function shownCheckpoint(
  latest: PublishedCheckpoint,
  witnessed: WitnessedCheckpoints | undefined,
  asked: boolean | undefined,
): PublishedCheckpoint {
  const found = witnessed?.latest()
  if (asked === true || witnessed?.required === true) {
    if (found === undefined) throw notWitnessed('no checkpoint was witnessed yet')
    return found
  }
  return found?.size === latest.size ? found : latest
}

const notWitnessed = (detail: string) => new EvidenceError('CHECKPOINT_NOT_WITNESSED', detail)

/** The verifier keys of the signature lines of a checkpoint, in their order. */
export function keysOf(note: string, vkeys: readonly string[]): readonly string[] {
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

/** A proof file as it is handed out: RFC 8785 JSON and one newline. @throws EvidenceError PROOF_TOO_LARGE. */
export function proofText(file: StreamProofFile | WindowProofFile | QueryProofFile): string {
  const text = `${canonicalText(file)}\n`
  if (text.length > proofFileBytesMax)
    throw new EvidenceError(
      'PROOF_TOO_LARGE',
      `the proof would be larger than ${proofFileBytesMax} bytes`,
    )
  return text
}
