import { EvidenceError } from '../contracts/errors.js'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const valueOf = new Map(
  Array.from({ length: alphabet.length }, (_, value) => [alphabet.charCodeAt(value), value]),
)
const canonicalBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const textEncoder = new TextEncoder()
const textDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const malformed = (detail: string) => new EvidenceError('PROOF_MALFORMED', detail)

/** UTF-8 bytes of a text. */
export const utf8 = (text: string): Uint8Array => textEncoder.encode(text)

/** Text of UTF-8 bytes, a byte order mark included. @throws EvidenceError PROOF_MALFORMED. */
export function textOf(bytes: Uint8Array): string {
  try {
    return textDecoder.decode(bytes)
  } catch (cause) {
    throw new EvidenceError('PROOF_MALFORMED', 'the bytes are not UTF-8 text', { cause })
  }
}

export const hexOf = (bytes: Uint8Array): string => {
  let hex = ''
  for (const byte of bytes) hex += hexPairs[byte] ?? ''
  return hex
}

/** Bytes of lower-case hex digits. @throws EvidenceError PROOF_MALFORMED. */
export function bytesOfHex(hex: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(hex))
    throw malformed('the text is not lower-case hex digits in pairs')
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  )
}

/** RFC 4648 §4 base64 with padding. */
export function base64Of(bytes: Uint8Array): string {
  const parts: string[] = []
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(i, i + 3)
    text += alphabet.charAt(a >> 2) + alphabet.charAt(((a & 3) << 4) | (b >> 4))
    text += i + 1 < bytes.length ? alphabet.charAt(((b & 15) << 2) | (c >> 6)) : '='
    text += i + 2 < bytes.length ? alphabet.charAt(c & 63) : '='
    if (text.length > 8192) {
      parts.push(text)
      text = ''
    }
  }
  return parts.join('') + text
}

/**
 * Bytes of base64 text, which must be the only text for them: padded, no unused bits set.
 *
 * @throws EvidenceError PROOF_MALFORMED.
 */
export function bytesOfBase64(text: string): Uint8Array {
  if (!canonicalBase64.test(text)) throw malformed('the text is not padded base64')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  const value = (at: number) => valueOf.get(text.charCodeAt(at)) ?? 0
  for (let i = 0, out = 0; i < text.length; i += 4, out += 3) {
    const word = (value(i) << 18) | (value(i + 1) << 12) | (value(i + 2) << 6) | value(i + 3)
    bytes[out] = word >> 16
    if (out + 1 < bytes.length) bytes[out + 1] = (word >> 8) & 255
    if (out + 2 < bytes.length) bytes[out + 2] = word & 255
  }
  // Bits behind the last byte would let two texts stand for the same bytes.
  const lastBits =
    padding === 2 ? value(text.length - 3) & 15 : padding === 1 ? value(text.length - 2) & 3 : 0
  if (lastBits !== 0) throw malformed('the base64 sets bits that belong to no byte')
  return bytes
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
