import { EvidenceError } from '../contracts/errors.js'
import { type NoteSigner, parseVkey, type VerifyingKey } from './note.js'
import type { Sha256 } from './merkle.js'

/** A key of the ledger and its term: it signs checkpoints from one size on, up to where the next key begins. */
export interface LedgerKey {
  readonly vkey: string
  /** The size of the checkpoint with which it took over, which the key before it signed too; 0 for the first. */
  readonly signingFrom: number
}

/**
 * Where the keys of a ledger are: files, or a key store that signs itself. What is handed out only
 * signs; no private key leaves.
 */
export interface SigningKeys {
  /**
   * The key named `origin` that signs; one is made when there is none and `mayCreate`, which is so for a
   * new ledger alone. @throws EvidenceError KEY_FILE_INVALID.
   */
  present(origin: string, mayCreate: boolean): Promise<NoteSigner>
  /** The key that waits to follow it; undefined when none was prepared. @throws EvidenceError KEY_FILE_INVALID. */
  next(origin: string): Promise<NoteSigner | undefined>
  /** The waiting key takes the place of the present one, for ever. Resolves when that survives a crash. */
  advance(): Promise<void>
}

/** Changing the key of an open ledger. */
export interface KeyChange {
  /** The key that waits to follow, or null. */
  readonly nextVkey: string | null
  /**
   * The waiting key takes over: the next checkpoint is signed by both, every later one by it alone. If we
   * stop on the way, the next start goes on: it has the one key or the other.
   *
   * @throws EvidenceError KEY_FILE_INVALID when none waits; LEDGER_READ_ONLY.
   */
  changeKey(): Promise<void>
}

/** The stream that tells of a key: `key-` and its id, eight hex digits. */
export const keyStreamOf = (sha256: Sha256, vkey: string): string =>
  `key-${parseVkey(sha256, vkey).keyId}`

/** The keys that may have signed a checkpoint of this size: one, or two where the one followed the other. */
export const keysAt = (
  sha256: Sha256,
  keys: readonly LedgerKey[],
  size: number,
): readonly VerifyingKey[] =>
  keys
    .filter(({ signingFrom }, i) => {
      const end = keys[i + 1]?.signingFrom ?? Number.POSITIVE_INFINITY
      return signingFrom <= size && size <= end
    })
    .map(({ vkey }) => parseVkey(sha256, vkey))

/** The key that signs now. */
export function presentKey(keys: readonly LedgerKey[]): LedgerKey {
  const last = keys.at(-1)
  if (last === undefined) throw new EvidenceError('KEY_FILE_INVALID', 'the ledger has no key yet')
  return last
}
