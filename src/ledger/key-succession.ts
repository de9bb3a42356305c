import { EvidenceError } from '../contracts/errors.js'
import { readData } from '../contracts/event.js'
import { keyCreated } from '../contracts/ledger.js'
import { textOf } from './encoding.js'
import type { ProofCrypto } from './note.js'
import { verifyProofFile } from './proof-file.js'

/** Proof files of key events that one verification takes. */
export const successionMax = 1_024

/** What is proven of the term of a key: the sizes of checkpoints that it may have signed. */
export interface KeyTerm {
  readonly vkey: string
  readonly from: number
  readonly to: number
}

interface Succession {
  readonly earlier: string
  readonly later: string
  /** Of the checkpoint that both signed. */
  readonly size: number
}

/**
 * Goes from the keys that are trusted to those before and behind them: each proof file is of an event
 * `key.created` under the checkpoint with which that key took over, signed by it and by the key that it
 * followed. Whoever trusts one of the two has the other, up to or from that size. Answers every key that
 * is known then; the files may come in any order.
 *
 * @throws EvidenceError PROOF_MALFORMED, PROOF_MISMATCH; PROOF_KEY_UNKNOWN when a file leads to no trusted key.
 */
export function followKeys(
  files: readonly (string | Uint8Array)[],
  trusted: readonly string[],
  crypto: ProofCrypto,
): readonly KeyTerm[] {
  if (files.length > successionMax)
    throw new EvidenceError('PROOF_MALFORMED', `more than ${successionMax} proofs of keys`)
  const known = new Set(trusted)
  const changes: Succession[] = []
  for (let open = [...files]; open.length > 0;) {
    const left: (string | Uint8Array)[] = []
    let unknown: unknown
    for (const file of open) {
      try {
        const change = successionIn(file, [...known], crypto)
        if (change === null) continue
        checkBeside(changes, change)
        changes.push(change)
        known.add(change.earlier).add(change.later)
      } catch (error) {
        if (!(error instanceof EvidenceError) || error.code !== 'PROOF_KEY_UNKNOWN') throw error
        unknown = error
        left.push(file)
      }
    }
    if (left.length === open.length) throw unknown
    open = left
  }
  return [...known].map((vkey) => ({
    vkey,
    from: changes.find(({ later }) => later === vkey)?.size ?? 0,
    to: changes.find(({ earlier }) => earlier === vkey)?.size ?? Number.POSITIVE_INFINITY,
  }))
}

/** Null for the first key of a ledger, which followed none. */
function successionIn(
  file: string | Uint8Array,
  keys: readonly string[],
  crypto: ProofCrypto,
): Succession | null {
  const { leaf, data, checkpoint, signedBy } = verifyProofFile(file, { keys }, crypto)
  if (leaf.type !== keyCreated.type || leaf.writer !== 'ledger' || data === null)
    throw mismatch(`the event ${leaf.id} tells of no key`)
  const told = readData(keyCreated, leaf.version, JSON.parse(textOf(data)))
  if (told.follows === null) return null
  const [earlier, later] = [told.follows.vkey, told.vkey]
  if (earlier === later || ![earlier, later].every((vkey) => signedBy.includes(vkey)))
    throw mismatch(
      `its checkpoint is not signed by the key ${later} and by ${earlier}, which it followed`,
    )
  if (![earlier, later].every((vkey) => vkey.startsWith(`${checkpoint.origin}+`)))
    throw mismatch(`a key of it is none of ${checkpoint.origin}`)
  return { earlier, later, size: checkpoint.size }
}

/** A key has one follower and follows one. */
function checkBeside(changes: readonly Succession[], { earlier, later, size }: Succession): void {
  for (const other of changes) {
    const same = [other.earlier === earlier, other.later === later]
    if (same.includes(true) && !(same.every(Boolean) && other.size === size))
      throw mismatch(`${earlier} was followed at two places: somebody has written another history`)
  }
}

const mismatch = (detail: string) =>
  new EvidenceError('PROOF_MISMATCH', `the proof of a key does not hold: ${detail}`)
