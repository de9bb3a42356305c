import { EvidenceError } from '../contracts/errors.js'
import { cosignedMessage, decodeCosignature, encodeCosignature } from './cosignature.js'
import { base64Of, bytesOfBase64, bytesOfHex, concatBytes, hexOf, utf8 } from './encoding.js'
import type { Sha256 } from './merkle.js'

/** Checks an Ed25519 signature; `publicKey` is 32 raw bytes. Answers false for a bad signature or key. */
export type VerifySignature = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => boolean

/** What proof code needs from outside, so that server and browser share it. */
export interface ProofCrypto {
  readonly sha256: Sha256
  readonly verifySignature: VerifySignature
}

export interface NoteSignature {
  readonly name: string
  /** Eight lower-case hex digits: a hint which key it is. */
  readonly keyId: string
  readonly signature: Uint8Array
}

/** A C2SP signed note: the text that is signed (with its final newline) and its signature lines. */
export interface Note {
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** How a key signs: a log signs notes, a witness cosigns checkpoints with its time. Both are Ed25519. */
export const ed25519Note = 1
export const ed25519Cosignature = 4
export type KeyType = typeof ed25519Note | typeof ed25519Cosignature

/** A C2SP verifier key. */
export interface VerifyingKey {
  readonly name: string
  readonly keyId: string
  readonly type: KeyType
  /** 32 raw bytes. */
  readonly publicKey: Uint8Array
}

/** Signs notes under one name; the key itself may be anywhere. */
export interface NoteSigner {
  readonly name: string
  readonly vkey: string
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/** A log under two keys and every witness that a policy may name, with room to spare. */
export const signatureLinesMax = 128
const lineStart = '\u2014 '
const nameForm = /^[^\p{White_Space}+]+$/u
// eslint-disable-next-line no-control-regex -- control characters are what is refused
const controlCharacter = /[\u0000-\u0009\u000b-\u001f]/

const malformed = (detail: string, cause?: unknown) =>
  new EvidenceError('PROOF_MALFORMED', `the signed note is malformed: ${detail}`, { cause })

const checkName = (name: string) => {
  if (!nameForm.test(name) || !name.isWellFormed() || controlCharacter.test(name)) {
    throw malformed('a key name is empty or holds white space or "+"')
  }
}

/** First four bytes of SHA-256(name, newline, type, public key), as hex. */
export const keyIdOf = (
  sha256: Sha256,
  name: string,
  publicKey: Uint8Array,
  type: KeyType = ed25519Note,
): string =>
  hexOf(sha256(concatBytes(utf8(`${name}\n`), Uint8Array.of(type), publicKey)).subarray(0, 4))

export function formatVkey(
  sha256: Sha256,
  name: string,
  publicKey: Uint8Array,
  type: KeyType = ed25519Note,
): string {
  checkName(name)
  if (publicKey.length !== 32) throw malformed('an Ed25519 public key has 32 bytes')
  return `${name}+${keyIdOf(sha256, name, publicKey, type)}+${base64Of(concatBytes(Uint8Array.of(type), publicKey))}`
}

/** Reads `name+id+base64`. @throws EvidenceError PROOF_MALFORMED when it is no Ed25519 verifier key or its id is wrong. */
export function parseVkey(sha256: Sha256, vkey: string): VerifyingKey {
  // The base64 may hold "+": only the first two separate.
  const [, name, keyId, encoded] = /^([^+]*)\+([^+]*)\+(.*)$/s.exec(vkey) ?? []
  if (name === undefined || keyId === undefined || encoded === undefined) {
    throw malformed('a verifier key has the form name+id+base64')
  }
  checkName(name)
  const key = bytesOfBase64(encoded)
  const [type] = key
  if ((type !== ed25519Note && type !== ed25519Cosignature) || key.length !== 33)
    throw malformed(`the key of ${name} is neither an Ed25519 note key nor that of a witness`)
  const publicKey = key.slice(1)
  if (keyId !== keyIdOf(sha256, name, publicKey, type))
    throw malformed(`the key id of ${name} does not belong to its key`)
  return { name, keyId, type, publicKey }
}

const checkText = (text: string) => {
  if (!text.endsWith('\n')) throw malformed('its text does not end in a newline')
  if (controlCharacter.test(text)) throw malformed('it holds a control character')
  if (!text.isWellFormed()) throw malformed('it holds a lone surrogate')
}

export function formatNote(note: Note): string {
  checkText(note.text)
  if (note.signatures.length < 1 || note.signatures.length > signatureLinesMax) {
    throw malformed(`it needs 1 to ${signatureLinesMax} signature lines`)
  }
  return `${note.text}\n${note.signatures.map(formatSignatureLine).join('')}`
}

export function formatSignatureLine({ name, keyId, signature }: NoteSignature): string {
  checkName(name)
  return `${lineStart}${name} ${base64Of(concatBytes(bytesOfHex(keyId), signature))}\n`
}

/** Reads a signed note; whose signatures are good is a separate question. @throws EvidenceError PROOF_MALFORMED. */
export function parseNote(note: string): Note {
  checkText(note)
  const separator = note.lastIndexOf('\n\n')
  if (separator === -1) throw malformed('no empty line separates text and signatures')
  const text = note.slice(0, separator + 1)
  return { text, signatures: parseSignatureLines(note.slice(separator + 2)) }
}

/** Reads one or more signature lines, as a witness answers them. @throws EvidenceError PROOF_MALFORMED. */
export function parseSignatureLines(text: string): readonly NoteSignature[] {
  checkText(text)
  const lines = text.slice(0, -1).split('\n')
  if (lines.length > signatureLinesMax)
    throw malformed(`it has more than ${signatureLinesMax} signature lines`)
  return lines.map(parseSignatureLine)
}

function parseSignatureLine(line: string): NoteSignature {
  const parts = line.slice(lineStart.length).split(' ')
  const [name, encoded] = parts
  if (
    !line.startsWith(lineStart) ||
    parts.length !== 2 ||
    name === undefined ||
    encoded === undefined
  ) {
    throw malformed('a signature line has not the form "\u2014 name base64"')
  }
  checkName(name)
  const blob = bytesOfBase64(encoded)
  if (blob.length < 5) throw malformed(`the signature of ${name} is too short`)
  return { name, keyId: hexOf(blob.subarray(0, 4)), signature: blob.slice(4) }
}

/** Signs a note text with one key, or with several in this order. */
export async function signNote(
  text: string,
  signers: NoteSigner | readonly [NoteSigner, ...NoteSigner[]],
  sha256: Sha256,
): Promise<string> {
  checkText(text)
  const signatures: NoteSignature[] = []
  for (const signer of 'sign' in signers ? [signers] : signers) {
    const { keyId, type } = parseVkey(sha256, signer.vkey)
    if (type !== ed25519Note) throw malformed(`the key of ${signer.name} is that of a witness`)
    signatures.push({ name: signer.name, keyId, signature: await signer.sign(utf8(text)) })
  }
  return formatNote({ text, signatures })
}

/** Signs the text of a checkpoint as a witness does; the signer's key must be one of a cosigner. */
export async function cosign(
  text: string,
  signer: NoteSigner,
  timeSeconds: number,
  sha256: Sha256,
): Promise<NoteSignature> {
  const { keyId, type } = parseVkey(sha256, signer.vkey)
  if (type !== ed25519Cosignature) throw malformed(`the key of ${signer.name} is not a witness's`)
  checkText(text)
  const time = BigInt(timeSeconds)
  const signature = await signer.sign(cosignedMessage(text, time))
  return { name: signer.name, keyId, signature: encodeCosignature({ time, signature }) }
}

/** What was signed and how, for the type of key that made the line. */
function signedBytes(text: string, line: NoteSignature, type: KeyType) {
  if (type === ed25519Note) return { message: utf8(text), signature: line.signature }
  const { time, signature } = decodeCosignature(line.signature)
  return { message: cosignedMessage(text, time), signature }
}

/** Checks that this key made this signature line. @throws EvidenceError PROOF_MISMATCH, PROOF_MALFORMED. */
export function verifyNoteSignature(
  crypto: ProofCrypto,
  note: Note,
  line: NoteSignature,
  key: VerifyingKey,
): void {
  if (line.name !== key.name || line.keyId !== key.keyId) {
    throw new EvidenceError(
      'PROOF_MISMATCH',
      `the signature line of ${line.name} (${line.keyId}) does not belong to the key ${key.name} (${key.keyId})`,
    )
  }
  const { message, signature } = signedBytes(note.text, line, key.type)
  if (!crypto.verifySignature(key.publicKey, message, signature)) {
    throw new EvidenceError(
      'PROOF_MISMATCH',
      `the signature of ${key.name} (${key.keyId}) does not verify`,
    )
  }
}

/**
 * Checks a note by the C2SP rule: lines of unknown keys are ignored, a bad line of a known key
 * rejects the note, at least one known key must have signed. Answers the keys that signed.
 *
 * @throws EvidenceError PROOF_MISMATCH, PROOF_KEY_UNKNOWN.
 */
export function verifyNote(
  crypto: ProofCrypto,
  note: Note,
  known: readonly VerifyingKey[],
): readonly VerifyingKey[] {
  const signed = note.signatures.flatMap((line) => {
    const key = known.find(({ name, keyId }) => name === line.name && keyId === line.keyId)
    if (key === undefined) return []
    verifyNoteSignature(crypto, note, line, key)
    return [key]
  })
  if (signed.length === 0)
    throw new EvidenceError('PROOF_KEY_UNKNOWN', 'no known key signed the note')
  return signed
}
