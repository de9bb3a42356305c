import { join } from 'node:path'
import { categoryOf } from '../../contracts/identifiers.js'
import type { LogFilter } from '../event-store.js'
import { boundedCache } from './bounded-cache.js'
import { type FilePort, type LedgerFile, writeOrClose } from './file-port.js'
import { indexDamage } from './index-damage.js'

export const placesFile = 'places'
/** One position: segment, offset, bytes, marks of project, category and type, flags, checksum. */
export const placeBytes = 32
const headBytes = 64
const magic = Buffer.from('FLPLACE\n', 'latin1')
const formatVersion = 1
const isRaw = 1
const blockPlaces = 512
const cachedBlocksMax = 256

/** Where a record stands: the number of its segment, and its place and length there. */
export interface Place {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
}

/** A place with what filters ask first. A mark that fits may still be another name: the leaf decides. */
export interface MarkedPlace extends Place {
  /** True for a leaf that was given as it is: no id, no stream, no type. */
  readonly raw: boolean
  readonly projectMark: number
  readonly categoryMark: number
  readonly typeMark: number
}

/** 32-bit FNV-1a over the code units of a name. */
export function markOf(name: string): number {
  let mark = 0x811c9dc5
  for (let at = 0; at < name.length; at += 1)
    mark = Math.imul(mark ^ name.charCodeAt(at), 0x01000193)
  return mark >>> 0
}

export const placeOfEvent = (
  place: Place,
  event: { readonly project: string; readonly stream: string; readonly type: string },
): MarkedPlace => ({
  ...place,
  raw: false,
  projectMark: markOf(event.project),
  categoryMark: markOf(categoryOf(event.stream)),
  typeMark: markOf(event.type),
})

export const placeOfRaw = (place: Place): MarkedPlace => ({
  ...place,
  raw: true,
  projectMark: 0,
  categoryMark: 0,
  typeMark: 0,
})

/** Tells which places a filter may want; every event it wants is among them. */
export function placeFilter(filter: LogFilter): (place: MarkedPlace) => boolean {
  const { project, streamPrefixes, types } = filter
  const projectMark = project === undefined ? undefined : markOf(project)
  const typeMarks = types === undefined ? undefined : new Set(types.map(markOf))
  // A prefix that ends within the category fits more than one of them.
  const categoryMarks =
    streamPrefixes === undefined || streamPrefixes.some((prefix) => !prefix.includes('-'))
      ? undefined
      : new Set(streamPrefixes.map((prefix) => markOf(categoryOf(prefix))))
  return (place) =>
    (projectMark === undefined || place.projectMark === projectMark) &&
    (typeMarks === undefined || typeMarks.has(place.typeMark)) &&
    (categoryMarks === undefined || categoryMarks.has(place.categoryMark))
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** CRC-32C of the first 28 bytes and the position: here, because a call outside costs more than these bytes. */
function checksumOf(bytes: Uint8Array, at: number, position: number): number {
  let crc = ~(position % 0x1_0000_0000) ^ Math.floor(position / 0x1_0000_0000)
  for (let i = at; i < at + placeBytes - 4; i += 1)
    crc = (table[(crc ^ (bytes[i] ?? 0)) & 255] ?? 0) ^ (crc >>> 8)
  return ~crc >>> 0
}

/** What the names of an event are marked with; null for a raw leaf. */
export interface EventMarks {
  readonly project: number
  readonly category: number
  readonly type: number
}

export function encodePlace(
  into: Buffer,
  at: number,
  place: Place,
  marks: EventMarks | null,
): void {
  into.writeUInt32LE(place.segment, at)
  into.writeUInt32LE(place.offset, at + 4)
  into.writeUInt32LE(place.bytes, at + 8)
  into.writeUInt32LE(marks?.project ?? 0, at + 12)
  into.writeUInt32LE(marks?.category ?? 0, at + 16)
  into.writeUInt32LE(marks?.type ?? 0, at + 20)
  into.writeUInt32LE(marks === null ? isRaw : 0, at + 24)
}

/** Puts the checksum behind a place that will stand at `position`. */
export const sealPlace = (into: Buffer, at: number, position: number): void => {
  into.writeUInt32LE(checksumOf(into, at, position), at + placeBytes - 4)
}

export const decodePlace = (bytes: Buffer, at: number): MarkedPlace => ({
  segment: bytes.readUInt32LE(at),
  offset: bytes.readUInt32LE(at + 4),
  bytes: bytes.readUInt32LE(at + 8),
  projectMark: bytes.readUInt32LE(at + 12),
  categoryMark: bytes.readUInt32LE(at + 16),
  typeMark: bytes.readUInt32LE(at + 20),
  raw: (bytes.readUInt32LE(at + 24) & isRaw) !== 0,
})

/** The places of all positions up to `count`, in one file, 32 bytes each. */
export interface PlaceList {
  readonly count: number
  /** The places of sorted positions below `count`. @throws EvidenceError INDEX_DAMAGED. */
  read(positions: readonly number[]): Promise<readonly MarkedPlace[]>
  /** Writes sealed places at the end and syncs; they count once `grow` says so. */
  append(bytes: Uint8Array, firstPosition: number): Promise<void>
  grow(count: number): void
  close(): Promise<void>
}

/** Opens the list, or begins it anew when it must hold nothing. @throws EvidenceError INDEX_DAMAGED. */
export async function openPlaceList(
  files: FilePort,
  folder: string,
  count: number,
  mode: 'read' | 'write',
): Promise<PlaceList> {
  const path = join(folder, placesFile)
  if (count === 0) {
    await files.remove(path)
    const file = await files.open(path, 'create')
    const head = Buffer.alloc(headBytes)
    magic.copy(head, 0)
    head.writeUInt32LE(formatVersion, 8)
    await writeOrClose(file, head)
    return listOver(file, 0)
  }
  const file = await files.open(path, mode).catch((cause: unknown) => {
    throw Object.assign(indexDamage(placesFile, 0, 'it cannot be opened'), { cause })
  })
  try {
    const head = Buffer.alloc(headBytes)
    await file.read(head, 0)
    if (!head.subarray(0, 8).equals(magic) || head.readUInt32LE(8) !== formatVersion)
      throw indexDamage(placesFile, 0, 'it is no list of places')
    if ((await file.size()) < headBytes + count * placeBytes)
      throw indexDamage(placesFile, headBytes, `it ends before position ${count}`)
    return listOver(file, count)
  } catch (error) {
    await file.close()
    throw error
  }
}

function listOver(file: LedgerFile, written: number): PlaceList {
  const cache = boundedCache<number, Buffer>(cachedBlocksMax)
  let count = written

  const blockOf = async (block: number): Promise<Buffer> => {
    const known = cache.get(block)
    if (known !== undefined) return known
    const first = block * blockPlaces
    const places = Math.min(blockPlaces, count - first)
    const bytes = Buffer.alloc(places * placeBytes)
    await file.read(bytes, headBytes + first * placeBytes)
    // The last block grows: it is read anew each time.
    if (places === blockPlaces) cache.set(block, bytes)
    return bytes
  }

  return {
    get count() {
      return count
    },
    async read(positions) {
      const places: MarkedPlace[] = []
      let bytes: Buffer = Buffer.alloc(0)
      let present = -1
      for (const position of positions) {
        const block = Math.floor(position / blockPlaces)
        const at = (position % blockPlaces) * placeBytes
        if (block !== present || at >= bytes.length) bytes = await blockOf((present = block))
        if (at >= bytes.length) throw new RangeError(`there is no place of position ${position}`)
        if (bytes.readUInt32LE(at + placeBytes - 4) !== checksumOf(bytes, at, position))
          throw indexDamage(
            placesFile,
            headBytes + position * placeBytes,
            `the place of position ${position} does not match its checksum`,
          )
        places.push(decodePlace(bytes, at))
      }
      return places
    },
    async append(bytes, firstPosition) {
      await file.write(bytes, headBytes + firstPosition * placeBytes)
      await file.sync()
    },
    grow(next) {
      count = next
    },
    close: () => file.close(),
  }
}
