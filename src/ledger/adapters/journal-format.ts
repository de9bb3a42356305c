import { crc32c } from '@node-rs/crc32'
import { leafBytesMax } from '../../contracts/leaf.js'
import { dataBytesMax, metadataBytesMax, type SaltedBytes } from '../event-store.js'
import { rawLeafBytesMax } from '../raw-leaf.js'

/** Bytes of the journal as `docs/journal-format.md` describes them. All numbers are little-endian. */
export const segmentHeaderBytes = 64
export const groupFrameBytes = 28
export const recordHeaderBytes = 24
export const payloadHeaderBytes = 80
/** No group of ours is larger; a frame that claims more is damage. */
export const groupBytesMax = 128 * 1024 * 1024

const formatVersion = 1
const segmentMagic = Buffer.from('FLJRNL1\n', 'latin1')
export const groupMagic = Buffer.from('GRUP', 'latin1')
const recordMagic = Buffer.from('RECD', 'latin1')
const rawMagic = Buffer.from('RAWL', 'latin1')
const whole = 1
const dataErased = 2
const metadataErased = 4

export interface SegmentHeader {
  readonly firstPosition: number
  /** First 16 bytes of SHA-256(origin): a segment of another ledger is refused. */
  readonly originMark: Uint8Array
  /** 16 random bytes in the checksum of every frame, so that no stored payload passes for a frame. */
  readonly nonce: Uint8Array
}

export interface GroupFrame {
  readonly firstPosition: number
  readonly recordCount: number
  /** Length of the records behind the frame. */
  readonly bytes: number
}

export interface JournalRecord {
  readonly position: number
  /** True for a leaf that is no event: it has no payload block. */
  readonly raw: boolean
  /** UTF-8 text of the leaf, or the bytes of a raw one; a view. */
  readonly leaf: Buffer
  readonly data: SaltedBytes | null
  readonly metadata: SaltedBytes | null
  /** Length of the whole record. */
  readonly bytes: number
}

/** Why bytes are not what they should be. `payload` damage leaves the leaf usable. */
export interface Flaw {
  readonly flaw: string
  readonly part: 'frame' | 'leaf' | 'payload'
}

export const isFlaw = (value: object): value is Flaw => 'flaw' in value

const position = (buffer: Buffer, at: number): number => Number(buffer.readBigUInt64LE(at))

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const buffer = Buffer.alloc(segmentHeaderBytes)
  segmentMagic.copy(buffer, 0)
  buffer.writeUInt32LE(formatVersion, 8)
  buffer.writeBigUInt64LE(BigInt(header.firstPosition), 16)
  buffer.set(header.originMark, 24)
  buffer.set(header.nonce, 40)
  buffer.writeUInt32LE(crc32c(buffer.subarray(0, 60)), 60)
  return buffer
}

export function decodeSegmentHeader(buffer: Buffer): SegmentHeader | Flaw {
  if (buffer.length < segmentHeaderBytes)
    return { flaw: 'the segment header is cut off', part: 'frame' }
  if (
    buffer.readUInt32LE(60) !== crc32c(buffer.subarray(0, 60)) ||
    !buffer.subarray(0, 8).equals(segmentMagic)
  ) {
    return { flaw: 'the segment header does not match its checksum', part: 'frame' }
  }
  const version = buffer.readUInt32LE(8)
  if (version !== formatVersion)
    return {
      flaw: `the segment has format ${version}, this program reads ${formatVersion}`,
      part: 'frame',
    }
  return {
    firstPosition: position(buffer, 16),
    originMark: Uint8Array.from(buffer.subarray(24, 40)),
    nonce: Uint8Array.from(buffer.subarray(40, 56)),
  }
}

const frameChecksum = (frame: Buffer, nonce: Uint8Array, offset: number): number => {
  const seal = Buffer.alloc(24)
  seal.set(nonce)
  seal.writeBigUInt64LE(BigInt(offset), 16)
  return crc32c(seal, crc32c(frame.subarray(0, 24)))
}

/** Writes the frame into the front of `group`, which will stand at `offset` of its segment. */
export function encodeGroupFrame(
  group: Buffer,
  frame: GroupFrame,
  nonce: Uint8Array,
  offset: number,
): void {
  groupMagic.copy(group, 0)
  group.writeUInt32LE(frame.recordCount, 4)
  group.writeBigUInt64LE(BigInt(frame.firstPosition), 8)
  group.writeUInt32LE(frame.bytes, 16)
  group.writeUInt32LE(0, 20)
  group.writeUInt32LE(frameChecksum(group, nonce, offset), 24)
}

export function decodeGroupFrame(
  buffer: Buffer,
  nonce: Uint8Array,
  offset: number,
): GroupFrame | Flaw {
  if (buffer.length < groupFrameBytes) return { flaw: 'the group frame is cut off', part: 'frame' }
  if (
    !buffer.subarray(0, 4).equals(groupMagic) ||
    buffer.readUInt32LE(24) !== frameChecksum(buffer, nonce, offset)
  ) {
    return { flaw: 'the group frame does not match its checksum', part: 'frame' }
  }
  const frame = {
    recordCount: buffer.readUInt32LE(4),
    firstPosition: position(buffer, 8),
    bytes: buffer.readUInt32LE(16),
  }
  return frame.bytes > groupBytesMax
    ? { flaw: 'the group frame claims too many bytes', part: 'frame' }
    : frame
}

/** Lengths of the three parts of the record of an event. */
export interface RecordLengths {
  readonly leaf: number
  readonly data: number
  readonly metadata: number
}

export const recordBytes = ({ leaf, data, metadata }: RecordLengths): number =>
  recordHeaderBytes + leaf + payloadHeaderBytes + data + metadata

export const rawRecordBytes = (leafBytes: number): number => recordHeaderBytes + leafBytes

/** Offsets in a payload block. */
export const saltsAt = 16
const low = 0x1_0000_0000

function writeRecordHeader(
  into: Buffer,
  at: number,
  magic: Buffer,
  { leaf, payload, position }: { leaf: number; payload: number; position: number },
): void {
  magic.copy(into, at)
  into.writeUInt32LE(leaf, at + 4)
  into.writeUInt32LE(payload, at + 8)
  into.writeUInt32LE(position % low, at + 12)
  into.writeUInt32LE(Math.floor(position / low), at + 16)
}

/** Closes the leaf of a record at `at`, whose header and leaf stand there: writes the checksum. */
function sealLeaf(into: Buffer, at: number, end: number): void {
  const front = crc32c(into.subarray(at, at + 20))
  into.writeUInt32LE(crc32c(into.subarray(at + recordHeaderBytes, end), front), at + 20)
}

/** Writes headers and checksums of the record at `at`, in which leaf, salts, data and metadata stand already. */
export function sealRecord(
  into: Buffer,
  at: number,
  position: number,
  { leaf, data, metadata }: RecordLengths,
): void {
  const payload = payloadHeaderBytes + data + metadata
  const payloadAt = at + recordHeaderBytes + leaf
  writeRecordHeader(into, at, recordMagic, { leaf, payload, position })
  sealLeaf(into, at, payloadAt)
  into.writeUInt32LE(whole, payloadAt + 4)
  into.writeUInt32LE(data, payloadAt + 8)
  into.writeUInt32LE(metadata, payloadAt + 12)
  into.writeUInt32LE(crc32c(into.subarray(payloadAt + 4, payloadAt + payload)), payloadAt)
}

/** Writes header and checksum of the record of a raw leaf at `at`, in which the leaf stands already. */
export function sealRawRecord(into: Buffer, at: number, position: number, leaf: number): void {
  writeRecordHeader(into, at, rawMagic, { leaf, payload: 0, position })
  sealLeaf(into, at, at + recordHeaderBytes + leaf)
}

/** Kind and lengths of the record at `at`, or why they cannot be told. */
export function decodeRecordHeader(
  buffer: Buffer,
  at: number,
): { raw: boolean; leafBytes: number; payloadBytes: number } | Flaw {
  if (at + recordHeaderBytes > buffer.length)
    return { flaw: 'the record header is cut off', part: 'leaf' }
  const leafBytes = buffer.readUInt32LE(at + 4)
  const payloadBytes = buffer.readUInt32LE(at + 8)
  const magic = buffer.subarray(at, at + 4)
  const raw = magic.equals(rawMagic)
  const plausible = raw
    ? leafBytes > 0 && leafBytes <= rawLeafBytesMax && payloadBytes === 0
    : magic.equals(recordMagic) &&
      leafBytes <= leafBytesMax &&
      payloadBytes >= payloadHeaderBytes &&
      payloadBytes <= payloadHeaderBytes + dataBytesMax + metadataBytesMax
  return plausible
    ? { raw, leafBytes, payloadBytes }
    : { flaw: 'there is no record header', part: 'leaf' }
}

/** The lasting half of a record: its place and leaf, and where its payload block stands. */
export interface LeafPart {
  readonly position: number
  readonly raw: boolean
  readonly leaf: Buffer
  readonly payloadAt: number
  readonly end: number
}

/** The lasting half of the record at `at`; its payload block need not be in the buffer. */
export function decodeLeaf(buffer: Buffer, at: number): LeafPart | Flaw {
  const header = decodeRecordHeader(buffer, at)
  if (isFlaw(header)) return header
  const leafAt = at + recordHeaderBytes
  const payloadAt = leafAt + header.leafBytes
  if (payloadAt > buffer.length) return { flaw: 'the record is cut off', part: 'leaf' }
  const leaf = buffer.subarray(leafAt, payloadAt)
  if (buffer.readUInt32LE(at + 20) !== crc32c(leaf, crc32c(buffer.subarray(at, at + 20)))) {
    return { flaw: 'the leaf does not match its checksum', part: 'leaf' }
  }
  return {
    position: position(buffer, at + 12),
    raw: header.raw,
    leaf,
    payloadAt,
    end: payloadAt + header.payloadBytes,
  }
}

/** The same for a record of which all must be there. */
export function decodeLeafPart(buffer: Buffer, at: number): LeafPart | Flaw {
  const header = decodeRecordHeader(buffer, at)
  if (isFlaw(header)) return header
  if (at + recordHeaderBytes + header.leafBytes + header.payloadBytes > buffer.length)
    return { flaw: 'the record is cut off', part: 'leaf' }
  return decodeLeaf(buffer, at)
}

/** The record at `at`; leaf, data and metadata are views into `buffer`. */
export function decodeRecord(buffer: Buffer, at: number): JournalRecord | Flaw {
  const part = decodeLeafPart(buffer, at)
  if (isFlaw(part)) return part
  const { position, raw, leaf, end } = part
  if (raw) return { position, raw, leaf, data: null, metadata: null, bytes: end - at }
  const payload = decodePayload(buffer.subarray(part.payloadAt, end))
  return isFlaw(payload) ? payload : { position, raw, leaf, ...payload, bytes: end - at }
}

/** For each part the position of the event that tells of its erasure; null while it is there. */
export interface ErasureMarks {
  readonly data: number | null
  readonly metadata: number | null
}

export interface Payload extends Pick<JournalRecord, 'data' | 'metadata'> {
  readonly erasedBy: ErasureMarks
  /** Lengths, which stay when a part is erased. */
  readonly lengths: { readonly data: number; readonly metadata: number }
}

/** The payload block in which the marked parts are erased; their bytes in `block` do not matter. */
export function erasedPayload(
  block: Buffer,
  bytes: { readonly data: number; readonly metadata: number },
  marks: ErasureMarks,
): Buffer {
  const erased = Buffer.from(block)
  const state =
    whole | (marks.data === null ? 0 : dataErased) | (marks.metadata === null ? 0 : metadataErased)
  erased.writeUInt32LE(state, 4)
  erased.writeUInt32LE(bytes.data, 8)
  erased.writeUInt32LE(bytes.metadata, 12)
  const blank = (mark: number | null, saltAt: number, from: number, to: number) => {
    if (mark === null) return
    erased.fill(0, saltAt, saltAt + 32).fill(0, from, to)
    erased.writeBigUInt64LE(BigInt(mark), saltAt)
  }
  const dataEnd = payloadHeaderBytes + bytes.data
  blank(marks.data, 16, payloadHeaderBytes, dataEnd)
  blank(marks.metadata, 48, dataEnd, dataEnd + bytes.metadata)
  erased.writeUInt32LE(crc32c(erased.subarray(4)), 0)
  return erased
}

/** Data and metadata of a payload block; null where they were erased. */
export function decodePayload(block: Buffer): Payload | Flaw {
  if (block.readUInt32LE(0) !== crc32c(block.subarray(4))) {
    return { flaw: 'the payload block does not match its checksum', part: 'payload' }
  }
  const state = block.readUInt32LE(4)
  const dataEnd = payloadHeaderBytes + block.readUInt32LE(8)
  const metadataEnd = dataEnd + block.readUInt32LE(12)
  if (
    (state & whole) === 0 ||
    state > (whole | dataErased | metadataErased) ||
    metadataEnd !== block.length
  ) {
    return { flaw: 'the payload block contradicts itself', part: 'payload' }
  }
  const noData = (state & dataErased) !== 0
  const noMetadata = (state & metadataErased) !== 0
  return {
    lengths: { data: dataEnd - payloadHeaderBytes, metadata: metadataEnd - dataEnd },
    erasedBy: {
      data: noData ? position(block, 16) : null,
      metadata: noMetadata ? position(block, 48) : null,
    },
    data: noData
      ? null
      : { salt: block.subarray(16, 48), bytes: block.subarray(payloadHeaderBytes, dataEnd) },
    metadata: noMetadata
      ? null
      : { salt: block.subarray(48, 80), bytes: block.subarray(dataEnd, metadataEnd) },
  }
}
