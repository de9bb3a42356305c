import { EvidenceError } from '../../contracts/errors.js'
import { nodeCrypto } from '../node-crypto.js'
import { type NoteSigner, parseNote, parseVkey } from '../note.js'
import type { LedgerKey, SigningKeys } from '../signing-keys.js'
import type { FilePort } from './file-port.js'
import { type LedgerIdentity, writeIdentity } from './ledger-folder.js'

/**
 * The keys of an open ledger. A change goes through these steps, each durable before the next begins:
 *
 * 1. the next key is made beside the present one. If we stop: it waits, nothing has changed;
 * 2. `ledger.json` names it, with the size from which it signs. If we stop: the next start finds a
 *    key named that signed nothing yet, names it anew with the size that the ledger has then, and goes on;
 * 3. the checkpoint of that size is signed by both and kept. If we stop: the next start sees the signature;
 * 4. it takes the place of the present key.
 *
 * Between 2 and 4 the ledger has both keys, before and after it the one that signs.
 */
export interface LedgerKeys {
  readonly identity: LedgerIdentity
  /** Oldest first; those that signed, and from step 2 on the next one. */
  readonly history: readonly LedgerKey[]
  /** Signs until the change is finished. */
  readonly signer: NoteSigner
  /** The key that waits to follow. */
  readonly next: NoteSigner | undefined
  /** Whether an earlier run stopped behind step 2: the change is finished before anything is signed. */
  readonly unfinished: boolean
  /** Step 2. */
  name(size: number): Promise<void>
  /** Whether step 3 is done: the next key signed this note. */
  hasSigned(note: string): boolean
  /** Step 4. */
  takeOver(): Promise<void>
}

/** Opens the keys of the folder's ledger. @throws EvidenceError KEY_FILE_INVALID. */
export async function openLedgerKeys(
  files: FilePort,
  folder: string,
  claimed: LedgerIdentity,
  keys: SigningKeys,
): Promise<LedgerKeys> {
  const { origin } = claimed
  let signer = await keys.present(origin, claimed.keys.length === 0)
  let next = await keys.next(origin)
  for (const { name } of next === undefined ? [signer] : [signer, next])
    if (name !== origin) throw unfit(`the signer is named ${name}, the ledger ${origin}`)
  let identity = claimed
  const store = async (history: readonly LedgerKey[]) => {
    const changed = { ...identity, keys: [...history] }
    await writeIdentity(files, folder, changed)
    identity = changed
  }
  if (identity.keys.length === 0) await store([{ vkey: signer.vkey, signingFrom: 0 }])
  let unfinished = isUnfinished(identity.keys, signer.vkey, next?.vkey)

  return {
    get identity() {
      return identity
    },
    get history() {
      return identity.keys
    },
    get signer() {
      return signer
    },
    get next() {
      return next
    },
    get unfinished() {
      return unfinished
    },
    async name(size) {
      if (next === undefined) throw unfit('no key waits to follow')
      const before = unfinished ? identity.keys.slice(0, -1) : identity.keys
      unfinished = true
      await store([...before, { vkey: next.vkey, signingFrom: size }])
    },
    hasSigned(note) {
      if (next === undefined || !unfinished) return false
      const { name, keyId } = parseVkey(nodeCrypto.sha256, next.vkey)
      return parseNote(note).signatures.some((line) => line.name === name && line.keyId === keyId)
    },
    async takeOver() {
      if (next === undefined) throw unfit('no key waits to follow')
      await keys.advance()
      signer = next
      next = undefined
      unfinished = false
    },
  }
}

/** Whether the waiting key is named already. @throws EvidenceError KEY_FILE_INVALID when the keys at hand are not those that must sign. */
function isUnfinished(
  history: readonly LedgerKey[],
  present: string,
  next: string | undefined,
): boolean {
  const named = history.map(({ vkey }) => vkey)
  const last = named.at(-1)
  if (present === last) {
    if (next !== undefined && named.includes(next))
      throw unfit(`the key ${next}, which waits to follow, signed this ledger before`)
    return false
  }
  if (next === last && present === named.at(-2)) return true
  throw unfit(
    named.includes(present)
      ? `the key ${present} was followed by ${last ?? 'none'}, which is not at hand`
      : `the key ${present} is not one that signed this ledger before`,
  )
}

const unfit = (message: string) => new EvidenceError('KEY_FILE_INVALID', message)
