import { leafPrefix } from '../../contracts/leaf.js'
import type { PreparedEvent } from './draft-check.js'

const digest = 64
const beforeId = '","id":"'
const beforeMetadata = '","metadata_sha256":"'
const beforePrev = '","prev":'
const uuid = 36
/** From the digest of the data, which stands first, to that of the metadata and to the digits of `prev`. */
export const metadataDigestBehind = digest + beforeId.length + uuid + beforeMetadata.length
export const prevBehind = metadataDigestBehind + digest + beforePrev.length + 1

/**
 * The text of a leaf but for what is not known when it gets its place: the two digests, and `prev` where
 * it is the hash of another leaf of the group. What is known stands in front of the digests and behind `prev`.
 */
export interface LeafBlank {
  readonly front: string
  readonly id: string
  /** Null on the first event of a stream, a leaf hash in hex, or undefined while it is not known. */
  readonly prev: string | null | undefined
  readonly back: string
  /** UTF-8 bytes of the whole, and of the front. */
  readonly bytes: number
  readonly frontBytes: number
}

const plain = /^[ !#-[\]-~]*$/
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text))

/** Makes blanks of one ledger time. What many events have in common is made once. */
export function createLeafBlanks(time: string) {
  let last: PreparedEvent | undefined
  let front = ''
  let frontBytes = 0
  let beforeRevision = ''
  let beforeTypeSeq = ''
  let end = ''
  let isPlain = false
  const adopt = (event: PreparedEvent) => {
    front = `${leafPrefix}{"actor":${quoted(event.actor)},"content_type":${quoted(event.contentType)},"data_sha256":"`
    frontBytes = Buffer.byteLength(front)
    beforeRevision = `,"project":"${event.project}","revision":"`
    beforeTypeSeq = `,"time":"${time}","type":${quoted(event.type)},"type_seq":"`
    end = `","version":"${event.version}","writer":"${event.writer}"}`
    // Only names can hold characters of more than one byte.
    isPlain = plain.test(event.type)
    last = event
  }
  const isLike = (one: PreparedEvent | undefined, other: PreparedEvent): boolean =>
    one !== undefined &&
    one.typeKey === other.typeKey &&
    one.actor === other.actor &&
    one.contentType === other.contentType &&
    one.version === other.version &&
    one.writer === other.writer

  return (
    event: PreparedEvent,
    revision: number,
    typeSeq: number,
    prev: string | null | undefined,
  ): LeafBlank => {
    if (!isLike(last, event)) adopt(event)
    const stream = quoted(event.stream)
    const back = `${beforeRevision}${revision}","stream":${stream}${beforeTypeSeq}${typeSeq}${end}`
    const link = prev === null ? 'null'.length : digest + 2
    const backBytes = isPlain && plain.test(event.stream) ? back.length : Buffer.byteLength(back)
    const bytes = frontBytes + prevBehind - 1 + link + backBytes
    return { front, id: event.id, prev, back, bytes, frontBytes }
  }
}

/** Writes what a blank knows at `at`; `bytes` of it are its own. */
export function writeLeafBlank(into: Buffer, at: number, blank: LeafBlank): void {
  const { front, frontBytes, id, prev, back } = blank
  write(into, front, at, frontBytes)
  let to = at + frontBytes + digest
  to += into.write(beforeId, to, 'latin1')
  to += into.write(id, to, 'latin1')
  to += into.write(beforeMetadata, to, 'latin1') + digest
  to += into.write(beforePrev, to, 'latin1')
  if (prev === null) to += into.write('null', to, 'latin1')
  else {
    into[to] = quote
    if (prev !== undefined) into.write(prev, to + 1, 'latin1')
    into[to + 1 + digest] = quote
    to += digest + 2
  }
  write(into, back, to, at + blank.bytes - to)
}

const quote = 0x22

/** A text of so many UTF-8 bytes. */
function write(into: Buffer, text: string, at: number, bytes: number): void {
  into.write(text, at, text.length === bytes ? 'latin1' : 'utf8')
}
