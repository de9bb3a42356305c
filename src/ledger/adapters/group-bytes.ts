import { hash, randomFillSync } from 'node:crypto'
import { dataLabel, metadataLabel, saltBytes } from '../../contracts/leaf.js'
import {
  groupFrameBytes,
  payloadHeaderBytes,
  rawRecordBytes,
  recordBytes,
  recordHeaderBytes,
  saltsAt,
  sealRawRecord,
  sealRecord,
} from './journal-format.js'
import { metadataDigestBehind, prevBehind, writeLeafBlank } from './leaf-blank.js'
import type { SequencedEvent, SequencedLeaf, SequencedRaw } from './sequencer.js'

/**
 * The bytes of a group, all but its frame, digests, salts and checksums: what depends on neither index nor
 * disk is left, so that another thread can do it. Each part has memory of its own and can be handed over.
 */
export interface LaidGroup {
  readonly bytes: Uint8Array
  /** `fieldsPerLeaf` numbers for each leaf. */
  readonly fields: Uint32Array
  /** Room for the leaf hashes, 32 bytes each. */
  readonly hashes: Uint8Array
  readonly firstPosition: number
}

export const hashBytes = 32
const fieldsPerLeaf = 7
/** Begin of the record in the group. */
const recordField = 0
const leafField = 1
/** Where in the leaf the digest of the data stands; 0 for a raw leaf, whose text has none. */
const digestField = 2
/** Number of the leaf in the group that is the one before in the stream, counted from 1; 0 = none. */
const prevField = 3
const dataField = 4
const metadataField = 5
/** 1 when the salts are laid already, 0 when they are to be drawn. */
const saltedField = 6

export const leavesIn = ({ fields }: LaidGroup): number => fields.length / fieldsPerLeaf

/** Offset of the record of a leaf; behind the last one, the end of the group. */
export const recordAt = ({ fields, bytes }: LaidGroup, leaf: number): number =>
  fields[leaf * fieldsPerLeaf + recordField] ?? bytes.length

const own = (length: number): Buffer => Buffer.allocUnsafeSlow(length)

/** Lays out a group: leaf texts with their blanks, data and metadata, each in its place. */
export function layGroup(leaves: readonly SequencedLeaf[], firstPosition: number): LaidGroup {
  const fields = new Uint32Array(leaves.length * fieldsPerLeaf)
  let end = groupFrameBytes
  for (let i = 0; i < leaves.length; i += 1) {
    const at = i * fieldsPerLeaf
    const leaf = leaves[i]
    if (leaf === undefined) continue
    fields[at + recordField] = end
    if ('raw' in leaf) {
      fields[at + leafField] = leaf.raw.length
      end += rawRecordBytes(leaf.raw.length)
    } else end += measure(fields, at, leaf)
  }
  const bytes = own(end)
  for (let i = 0; i < leaves.length; i += 1) {
    const leaf = leaves[i]
    if (leaf !== undefined) fill(bytes, fields, i * fieldsPerLeaf, leaf)
  }
  return { bytes, fields, hashes: own(leaves.length * hashBytes), firstPosition }
}

function measure(fields: Uint32Array, at: number, event: SequencedEvent): number {
  const { blank, prepared, prevInGroup } = event
  const leaf = blank.bytes
  const data = prepared.data.length
  const metadata = prepared.metadata.length
  fields[at + leafField] = leaf
  fields[at + digestField] = blank.frontBytes
  fields[at + prevField] = prevInGroup + 1
  fields[at + dataField] = data
  fields[at + metadataField] = metadata
  fields[at + saltedField] = prepared.settled === undefined ? 0 : 1
  return recordBytes({ leaf, data, metadata })
}

function fill(
  bytes: Buffer,
  fields: Uint32Array,
  at: number,
  leaf: SequencedEvent | SequencedRaw,
): void {
  const leafAt = (fields[at + recordField] ?? 0) + recordHeaderBytes
  if ('raw' in leaf) {
    bytes.set(leaf.raw, leafAt)
    return
  }
  const { data, metadata, settled } = leaf.prepared
  const leafBytes = fields[at + leafField] ?? 0
  const dataAt = leafAt + leafBytes + payloadHeaderBytes
  writeLeafBlank(bytes, leafAt, leaf.blank)
  bytes.set(data, dataAt)
  bytes.set(metadata, dataAt + data.length)
  if (settled === undefined) return
  bytes.set(settled.dataSalt, leafAt + leafBytes + saltsAt)
  bytes.set(settled.metadataSalt, leafAt + leafBytes + saltsAt + saltBytes)
}

export const bufferOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, length)

/** The memory of a group, to be handed to another thread with it: its own (`layGroup`), so never shared. */
export const memoryOf = ({ bytes, fields, hashes }: LaidGroup): ArrayBuffer[] =>
  [bytes, fields, hashes].map(({ buffer }) => buffer as ArrayBuffer)

/**
 * Draws the salts that are not laid, writes digests, links and checksums of a laid group in place, and the leaf hashes
 * beside it. It depends on nothing else: any thread may run it.
 */
export function digestGroup(group: LaidGroup): void {
  const { fields, firstPosition } = group
  const bytes = bufferOf(group.bytes)
  const hashes = bufferOf(group.hashes)
  const count = leavesIn(group)
  const salts = Buffer.allocUnsafe(2 * saltBytes * count)
  randomFillSync(salts)
  const hexes: string[] = []
  for (let i = 0; i < count; i += 1) {
    const at = i * fieldsPerLeaf
    const record = fields[at + recordField] ?? 0
    const leaf = fields[at + leafField] ?? 0
    const digestAt = fields[at + digestField] ?? 0
    const leafAt = record + recordHeaderBytes
    const isRaw = digestAt === 0
    const data = fields[at + dataField] ?? 0
    const metadata = fields[at + metadataField] ?? 0
    if (!isRaw) {
      if (fields[at + saltedField] === 0)
        salts.copy(bytes, leafAt + leaf + saltsAt, 2 * saltBytes * i, 2 * saltBytes * (i + 1))
      writeDigests(bytes, leafAt + digestAt, leafAt + leaf, data, metadata)
      const prev = fields[at + prevField] ?? 0
      if (prev > 0) bytes.write(hexes[prev - 1] ?? '', leafAt + digestAt + prevBehind, 'latin1')
    }
    // The leaf is hashed behind a zero byte (RFC 6962 section 2.1): its checksum comes there later.
    bytes[leafAt - 1] = 0
    const hex = hash('sha256', bytes.subarray(leafAt - 1, leafAt + leaf), 'hex')
    hexes.push(hex)
    hashes.write(hex, i * hashBytes, 'hex')
    const position = firstPosition + i
    if (isRaw) sealRawRecord(bytes, record, position, leaf)
    else sealRecord(bytes, record, position, { leaf, data, metadata })
  }
}

function writeDigests(
  bytes: Buffer,
  digestAt: number,
  payloadAt: number,
  data: number,
  metadata: number,
): void {
  const saltAt = payloadAt + saltsAt
  const dataAt = payloadAt + payloadHeaderBytes
  const ofData = digestOf(forData, bytes, saltAt, dataAt, data)
  const ofMetadata = digestOf(forMetadata, bytes, saltAt + saltBytes, dataAt + data, metadata)
  bytes.write(ofData, digestAt, 'latin1')
  bytes.write(ofMetadata, digestAt + metadataDigestBehind, 'latin1')
}

/** Memory in which label, salt and bytes stand behind each other, as the digest takes them. */
interface Salted {
  readonly label: number
  memory: Buffer
}

const saltedWith = (label: string): Salted => {
  const memory = Buffer.alloc(4096)
  return { label: memory.write(label, 'latin1'), memory }
}
const forData = saltedWith(dataLabel)
const forMetadata = saltedWith(metadataLabel)
/** Larger ones are digested in memory of their own, which does not stay. */
const keptMemoryMax = 1024 * 1024

/** The digest of `leaf.ts`, in hex, of bytes and salt where they stand. */
function digestOf(salted: Salted, bytes: Buffer, saltAt: number, from: number, length: number) {
  const { label } = salted
  const end = label + saltBytes + length
  let { memory } = salted
  if (end > memory.length) {
    const grown = Buffer.allocUnsafeSlow(Math.max(end, Math.min(2 * end, keptMemoryMax)))
    memory.copy(grown, 0, 0, label)
    memory = grown
    if (grown.length <= keptMemoryMax) salted.memory = grown
  }
  bytes.copy(memory, label, saltAt, saltAt + saltBytes)
  bytes.copy(memory, label + saltBytes, from, from + length)
  return hash('sha256', memory.subarray(0, end), 'hex')
}
