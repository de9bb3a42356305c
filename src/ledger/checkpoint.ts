import { EvidenceError } from '../contracts/errors.js'
import { base64Of, bytesOfBase64 } from './encoding.js'
import { type Note, parseNote } from './note.js'

/** What a C2SP tlog-checkpoint says: this origin had `size` leaves with this root. */
export interface Checkpoint {
  readonly origin: string
  readonly size: number
  /** RFC 6962 root, 32 bytes. */
  readonly root: Uint8Array
}

const malformed = (detail: string) =>
  new EvidenceError('PROOF_MALFORMED', `the checkpoint is malformed: ${detail}`)

/** Reads a tree size or index: ASCII decimal without leading zeros, at most 2^53 - 1. */
export function parseDecimal(text: string): number {
  const value = Number(text)
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text) || !Number.isSafeInteger(value)) {
    throw malformed(
      `${JSON.stringify(text.slice(0, 40))} is not a decimal number without leading zeros below 2^53`,
    )
  }
  return value
}

/** The note text of a checkpoint: three lines, no extension lines. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  if (origin === '' || origin.includes('\n')) throw malformed('the origin must be one line')
  if (!Number.isSafeInteger(size) || size < 0) throw malformed('the tree size is not a count')
  if (root.length !== 32) throw malformed('the root must have 32 bytes')
  return `${origin}\n${size}\n${base64Of(root)}\n`
}

/** Reads the text of a note as a checkpoint. Extension lines are refused: no auditor could judge them. */
export function parseCheckpoint(text: string): Checkpoint {
  const { extensions, ...checkpoint } = parseForeignCheckpoint(text)
  if (extensions > 0) throw malformed('it has extension lines')
  return checkpoint
}

/** Reads a checkpoint of any log, which may end in lines of its own: a witness cosigns them unread. */
export function parseForeignCheckpoint(text: string): Checkpoint & { readonly extensions: number } {
  const [origin, size, root, ...rest] = text.split('\n')
  if (origin === undefined || origin === '') throw malformed('the origin line is missing')
  if (size === undefined || root === undefined || rest.length === 0)
    throw malformed('it has fewer than three lines')
  if (rest.pop() !== '' || rest.includes('')) throw malformed('it has an empty line')
  const rootBytes = bytesOfBase64(root)
  if (rootBytes.length !== 32) throw malformed('the root must have 32 bytes')
  return { origin, size: parseDecimal(size), root: rootBytes, extensions: rest.length }
}

/** Reads a signed checkpoint; whose signatures are good is a separate question. @throws EvidenceError PROOF_MALFORMED. */
export function parseSignedCheckpoint(signed: string): {
  readonly note: Note
  readonly checkpoint: Checkpoint
} {
  const note = parseNote(signed)
  return { note, checkpoint: parseCheckpoint(note.text) }
}
