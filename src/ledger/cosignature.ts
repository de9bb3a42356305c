import { EvidenceError } from '../contracts/errors.js'
import { concatBytes, utf8 } from './encoding.js'

/** What a C2SP tlog-cosignature (Ed25519) says beside its signature. */
export interface Cosignature {
  /** POSIX seconds at which the cosigner made it. */
  readonly time: bigint
  /** 64 bytes of Ed25519. */
  readonly signature: Uint8Array
}

const timeBytes = 8
const signatureBytes = 64
const timeMax = 2n ** 63n - 1n

const malformed = (detail: string) =>
  new EvidenceError('PROOF_MALFORMED', `the cosignature is malformed: ${detail}`)

/** Timestamp (8 bytes, big-endian) and signature, as they stand behind the key id in a signature line. */
export function encodeCosignature({ time, signature }: Cosignature): Uint8Array {
  if (time < 0n || time > timeMax) throw malformed('its time is not that of a cosignature')
  if (signature.length !== signatureBytes) throw malformed('its signature has not 64 bytes')
  const head = new Uint8Array(timeBytes)
  new DataView(head.buffer).setBigUint64(0, time)
  return concatBytes(head, signature)
}

/** @throws EvidenceError PROOF_MALFORMED. */
export function decodeCosignature(blob: Uint8Array): Cosignature {
  if (blob.length !== timeBytes + signatureBytes)
    throw malformed(`it has ${blob.length} bytes instead of ${timeBytes + signatureBytes}`)
  const time = new DataView(blob.buffer, blob.byteOffset, timeBytes).getBigUint64(0)
  if (time > timeMax) throw malformed('its time is beyond 2^63 - 1')
  return { time, signature: blob.slice(timeBytes) }
}

/** The bytes that a cosigner signs: the whole text of the checkpoint under two lines of its own. */
export const cosignedMessage = (noteText: string, time: bigint): Uint8Array =>
  utf8(`cosignature/v1\ntime ${time}\n${noteText}`)
