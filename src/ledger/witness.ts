import { EvidenceError } from '../contracts/errors.js'
import { type Checkpoint, parseForeignCheckpoint } from './checkpoint.js'
import { equalBytes, textOf } from './encoding.js'
import { type Sha256, verifyConsistency } from './merkle.js'
import {
  ed25519Note,
  type Note,
  type NoteSignature,
  parseNote,
  parseVkey,
  type ProofCrypto,
  verifyNote,
  type VerifyingKey,
} from './note.js'
import { type AddCheckpoint, parseAddCheckpoint } from './witness-request.js'

/** The logs that a witness follows: origin → keys of the log. */
export type FollowedLogs = ReadonlyMap<string, readonly VerifyingKey[]>

/** What a witness keeps of each log: the last checkpoint that it cosigned, as a signed note. */
export interface WitnessState {
  /** The note with the signature of the log and the cosignature; undefined when it never cosigned one. */
  seen(origin: string): Promise<string | undefined>
  /** Takes the place of what was seen; resolves when it survives a crash. */
  replace(origin: string, note: string): Promise<void>
}

/** Why a witness does not cosign. */
export type Refusal =
  /** No such log is followed. */
  | { readonly kind: 'unknown-log'; readonly reason: string }
  /** No key of the log signed it. */
  | { readonly kind: 'not-signed'; readonly reason: string }
  | { readonly kind: 'malformed'; readonly reason: string }
  /** It has seen another size than the request says. */
  | { readonly kind: 'conflict'; readonly size: number }
  /** The checkpoint does not extend what it has seen. */
  | { readonly kind: 'inconsistent'; readonly reason: string }

/** A request whose checkpoint is that of a followed log. */
export interface OpenedRequest {
  readonly request: AddCheckpoint
  readonly checkpoint: Checkpoint
  /** The text with the signature lines of the log's own keys alone. */
  readonly note: Note
}

export const isRefusal = (outcome: OpenedRequest | Refusal): outcome is Refusal => 'kind' in outcome

const originForm = /^[^\s+]{1,256}$/u
const logLinesMax = 256

/** Reads which logs a witness follows: lines `log <vkey> [<origin>]`; without origin it is the key's name. */
export function parseFollowedLogs(sha256: Sha256, file: string | Uint8Array): FollowedLogs {
  const followed = new Map<string, VerifyingKey[]>()
  const lines = (typeof file === 'string' ? file : textOf(file)).split('\n')
  if (lines.length > logLinesMax) throw unreadable(1, `more than ${logLinesMax} lines`)
  lines.forEach((line, at) => {
    const [keyword, vkey, named, ...rest] = line.split(/[ \t]+/).filter(Boolean)
    if (keyword === undefined || keyword.startsWith('#')) return
    if (keyword !== 'log' || vkey === undefined || rest.length > 0)
      throw unreadable(at + 1, 'it has not the form log <vkey> [<origin>]')
    const key = logKey(sha256, vkey, at + 1)
    const origin = named ?? key.name
    if (!originForm.test(origin)) throw unreadable(at + 1, 'the origin is none')
    followed.set(origin, [...(followed.get(origin) ?? []), key])
  })
  return followed
}

function logKey(sha256: Sha256, vkey: string, line: number): VerifyingKey {
  let cause: unknown
  try {
    const key = parseVkey(sha256, vkey)
    if (key.type === ed25519Note) return key
  } catch (error) {
    cause = error
  }
  throw unreadable(line, 'it names no Ed25519 key of a log', cause)
}

const unreadable = (line: number, detail: string, cause?: unknown) =>
  new EvidenceError(
    'CONFIGURATION_INVALID',
    `line ${line} of the logs that the witness follows: ${detail}`,
    { cause },
  )

/** Reads a request as far as that needs no state: its form, its log, and the log's signature. */
export function openRequest(
  crypto: ProofCrypto,
  followed: FollowedLogs,
  body: string,
): OpenedRequest | Refusal {
  let request: AddCheckpoint
  let note: Note
  let checkpoint: Checkpoint
  try {
    request = parseAddCheckpoint(body)
    note = parseNote(request.note)
    checkpoint = parseForeignCheckpoint(note.text)
  } catch (error) {
    return { kind: 'malformed', reason: reasonOf(error) }
  }
  const keys = followed.get(checkpoint.origin)
  if (keys === undefined)
    return { kind: 'unknown-log', reason: 'this witness does not follow the origin' }
  let signed: readonly VerifyingKey[]
  try {
    signed = verifyNote(crypto, note, keys)
  } catch (error) {
    return { kind: 'not-signed', reason: reasonOf(error) }
  }
  const byLog = (line: NoteSignature) =>
    signed.some(({ name, keyId }) => name === line.name && keyId === line.keyId)
  const signatures = note.signatures.filter(byLog)
  return { request, checkpoint, note: { text: note.text, signatures } }
}

/** Judges a checkpoint by the one that was seen last; null when it may be cosigned. */
export function judgeCheckpoint(
  sha256: Sha256,
  { request, checkpoint }: OpenedRequest,
  seen: Pick<Checkpoint, 'size' | 'root'> | undefined,
): Refusal | null {
  const { old, proof } = request
  if (old > checkpoint.size)
    return { kind: 'malformed', reason: 'the old size is above that of the checkpoint' }
  const size = seen?.size ?? 0
  if (old !== size) return { kind: 'conflict', size }
  const empty = sha256(new Uint8Array(0))
  if (checkpoint.size === 0 && !equalBytes(checkpoint.root, empty))
    return { kind: 'inconsistent', reason: 'an empty tree has another root' }
  try {
    // From an empty tree the proof is empty, and there is no root to compare.
    const fromRoot = seen?.root ?? (checkpoint.size === 0 ? checkpoint.root : empty)
    const toRoot = checkpoint.root
    verifyConsistency(sha256, { from: old, to: checkpoint.size, fromRoot, toRoot, path: proof })
    return null
  } catch (error) {
    return { kind: 'inconsistent', reason: reasonOf(error) }
  }
}

/** What a caller may be told: the domain's own words, or the error goes on. */
function reasonOf(error: unknown): string {
  if (error instanceof EvidenceError) return error.message
  throw error
}
