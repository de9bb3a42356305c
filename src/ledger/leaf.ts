import { EvidenceError } from '../contracts/errors.js'
import {
  dataLabel,
  Leaf,
  leafBytesMax,
  leafPrefix,
  metadataLabel,
  saltBytes,
} from '../contracts/leaf.js'
import { concatBytes, utf8 } from './encoding.js'
import type { Sha256 } from './merkle.js'

const dataLabelBytes = utf8(dataLabel)
const metadataLabelBytes = utf8(metadataLabel)

const malformed = (detail: string, cause?: unknown) =>
  new EvidenceError('PROOF_MALFORMED', `the leaf is malformed: ${detail}`, { cause })

/**
 * The exact text that is hashed. The members stand in RFC 8785 order and hold only strings and
 * null, for which `JSON.stringify` writes the RFC 8785 form; the caller has checked the members.
 */
export const leafTextOf = (leaf: Leaf): string =>
  leafPrefix +
  JSON.stringify({
    actor: leaf.actor,
    content_type: leaf.content_type,
    data_sha256: leaf.data_sha256,
    id: leaf.id,
    metadata_sha256: leaf.metadata_sha256,
    prev: leaf.prev,
    project: leaf.project,
    revision: leaf.revision,
    stream: leaf.stream,
    time: leaf.time,
    type: leaf.type,
    type_seq: leaf.type_seq,
    version: leaf.version,
    writer: leaf.writer,
  })

/** Reads a leaf text of unknown origin: only the one text of a valid leaf passes. @throws EvidenceError PROOF_MALFORMED. */
export function parseLeaf(text: string): Leaf {
  if (utf8(text).length > leafBytesMax) throw malformed(`it is larger than ${leafBytesMax} bytes`)
  if (!text.startsWith(leafPrefix)) throw malformed('it does not begin with "fractalops/leaf/1"')
  const parsed = Leaf.safeParse(jsonOf(text.slice(leafPrefix.length)))
  if (!parsed.success) {
    const places = parsed.error.issues.map((issue) => issue.path.join('.') || issue.message)
    throw malformed(`see ${places.join(', ')}`, parsed.error)
  }
  if (leafTextOf(parsed.data) !== text) throw malformed('it is not in its RFC 8785 form')
  return parsed.data
}

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed('it holds no JSON object', cause)
  }
}

const saltedDigest = (
  sha256: Sha256,
  label: Uint8Array,
  salt: Uint8Array,
  bytes: Uint8Array,
): Uint8Array => {
  if (salt.length !== saltBytes) throw malformed(`a salt has ${saltBytes} bytes`)
  return sha256(concatBytes(label, salt, bytes))
}

/** SHA-256(`fractalops/data/1\0` ‖ salt ‖ bytes). */
export const dataDigest = (sha256: Sha256, salt: Uint8Array, bytes: Uint8Array): Uint8Array =>
  saltedDigest(sha256, dataLabelBytes, salt, bytes)

/** SHA-256(`fractalops/metadata/1\0` ‖ salt ‖ bytes). */
export const metadataDigest = (sha256: Sha256, salt: Uint8Array, bytes: Uint8Array): Uint8Array =>
  saltedDigest(sha256, metadataLabelBytes, salt, bytes)
