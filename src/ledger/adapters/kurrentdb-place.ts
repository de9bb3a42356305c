import { dirname } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { EvidenceError } from '../../contracts/errors.js'
import type { AllPosition } from '../all-position.js'
import type { FilePort } from './file-port.js'

/**
 * Where on the cluster the leaf log stands. Before leaves are appended, the place behind them is noted beside the
 * present one: a crash leaves the log with the one size or the other, and the place of either is known.
 */
export interface PlaceFile {
  /** The place behind the first `size` leaves; undefined = the beginning. @throws EvidenceError DATA_FOLDER_INVALID. */
  behind(size: number): AllPosition | undefined
  /** Resolves when the note is durable. */
  note(size: number, position: AllPosition): Promise<void>
  close(): Promise<void>
}

interface Place {
  readonly size: number
  readonly position: AllPosition
}

/** Each place stands in a sector of its own: what tears one write leaves the other. */
const slotBytes = 512
const placeBytes = 28
const slots = 2

export async function openPlaceFile(files: FilePort, path: string): Promise<PlaceFile> {
  const isNew = (await files.modeOf(path)) === undefined
  const file = await files.open(path, isNew ? 'create' : 'write')
  if (isNew) {
    await file.write(Buffer.alloc(slots * slotBytes), 0)
    await file.sync()
    await files.syncFolder(dirname(path))
  }
  const places: (Place | undefined)[] = []
  for (let slot = 0; slot < slots; slot += 1) {
    const bytes = Buffer.alloc(placeBytes)
    await file.read(bytes, slot * slotBytes)
    places.push(decode(bytes))
  }
  /** The note of the present size must stay until the log has grown. */
  let last = Math.max(places.indexOf(latest(places)), 0)
  return {
    behind(size) {
      const found = latest(places.filter((place) => place?.size === size))
      if (found === undefined && size > 0)
        throw new EvidenceError(
          'DATA_FOLDER_INVALID',
          `${path} does not say where on the cluster the ${size} leaves of the log end: log and note are not of one time`,
        )
      return found?.position
    },
    async note(size, position) {
      last = (last + 1) % slots
      await file.write(encode({ size, position }), last * slotBytes)
      await file.sync()
      places[last] = { size, position }
    },
    close: () => file.close(),
  }
}

const isLater = (a: Place, b: Place): boolean =>
  a.size === b.size ? a.position.commit > b.position.commit : a.size > b.size

const latest = (places: readonly (Place | undefined)[]): Place | undefined => {
  let found: Place | undefined
  for (const place of places)
    if (place !== undefined && (found === undefined || isLater(place, found))) found = place
  return found
}

function encode({ size, position }: Place): Buffer {
  const bytes = Buffer.alloc(placeBytes)
  bytes.writeBigUInt64LE(BigInt(size), 0)
  bytes.writeBigUInt64LE(position.commit, 8)
  bytes.writeBigUInt64LE(position.prepare, 16)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 24)), 24)
  return bytes
}

function decode(bytes: Buffer): Place | undefined {
  const isWritten = bytes.some((byte) => byte !== 0)
  if (!isWritten || bytes.readUInt32LE(24) !== crc32c(bytes.subarray(0, 24))) return undefined
  return {
    size: Number(bytes.readBigUInt64LE(0)),
    position: { commit: bytes.readBigUInt64LE(8), prepare: bytes.readBigUInt64LE(16) },
  }
}
