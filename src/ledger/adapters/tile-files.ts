import { crc32c } from '@node-rs/crc32'
import { join } from 'node:path'
import { type FilePort, type LedgerFile, writeOrClose } from './file-port.js'
import { indexDamage } from './index-damage.js'

export const tileBytes = 256 * 32
/** The tile, its level and index, and the checksum of all that. */
const frameBytes = tileBytes + 16
const headBytes = 64
const magic = Buffer.from('FLTILES\n', 'latin1')
const formatVersion = 1
const writtenTilesMax = 256

/**
 * The full tiles of each level of the tree, one file per level, tile n behind tile n−1. A full tile
 * never changes; after a stop in the middle the same bytes are written again.
 */
export interface TileFiles {
  /** @throws EvidenceError INDEX_DAMAGED. */
  read(level: number, index: number): Promise<Buffer>
  /** Writes neighbouring tiles and syncs. */
  write(level: number, firstIndex: number, tiles: readonly Uint8Array[]): Promise<void>
  close(): Promise<void>
}

export const tilesFile = (level: number): string => `tiles-${level}`

export function openTileFiles(files: FilePort, folder: string, mode: 'read' | 'write'): TileFiles {
  const opened = new Map<number, Promise<LedgerFile>>()
  const open = (level: number, count: number): Promise<LedgerFile> => {
    const known = opened.get(level)
    if (known !== undefined) return known
    const file = count === 0 ? create(level) : openOld(level)
    opened.set(level, file)
    file.catch(() => opened.delete(level))
    return file
  }
  const create = async (level: number) => {
    const path = join(folder, tilesFile(level))
    await files.remove(path)
    const file = await files.open(path, 'create')
    const head = Buffer.alloc(headBytes)
    magic.copy(head, 0)
    head.writeUInt32LE(formatVersion, 8)
    head.writeUInt32LE(level, 12)
    await writeOrClose(file, head)
    return file
  }
  const openOld = async (level: number) => {
    const name = tilesFile(level)
    const file = await files.open(join(folder, name), mode).catch((cause: unknown) => {
      throw Object.assign(indexDamage(name, 0, 'it cannot be opened'), { cause })
    })
    const head = Buffer.alloc(headBytes)
    await file.read(head, 0)
    if (
      !head.subarray(0, 8).equals(magic) ||
      head.readUInt32LE(8) !== formatVersion ||
      head.readUInt32LE(12) !== level
    ) {
      await file.close()
      throw indexDamage(name, 0, `it is no file of tiles of level ${level}`)
    }
    return file
  }
  return {
    async read(level, index) {
      const file = await open(level, index + 1)
      const frame = Buffer.allocUnsafe(frameBytes)
      const offset = headBytes + index * frameBytes
      const got = await file.read(frame, offset)
      if (got < frameBytes || !isSound(frame, level, index))
        throw indexDamage(
          tilesFile(level),
          offset,
          `tile ${index} of level ${level} does not match its checksum`,
        )
      return frame.subarray(0, tileBytes)
    },
    async write(level, firstIndex, tiles) {
      const file = await open(level, firstIndex)
      for (let from = 0; from < tiles.length; from += writtenTilesMax) {
        const some = tiles.slice(from, from + writtenTilesMax)
        const bytes = Buffer.alloc(some.length * frameBytes)
        some.forEach((tile, i) => {
          const frame = bytes.subarray(i * frameBytes, (i + 1) * frameBytes)
          frame.set(tile)
          frame.writeUInt32LE(level, tileBytes)
          frame.writeUIntLE(firstIndex + from + i, tileBytes + 4, 6)
          frame.writeUInt32LE(crc32c(frame.subarray(0, frameBytes - 4)), frameBytes - 4)
        })
        await file.write(bytes, headBytes + (firstIndex + from) * frameBytes)
      }
      await file.sync()
    },
    async close() {
      for (const file of opened.values()) await (await file).close()
    },
  }
}

const isSound = (frame: Buffer, level: number, index: number): boolean =>
  frame.readUInt32LE(frameBytes - 4) === crc32c(frame.subarray(0, frameBytes - 4)) &&
  frame.readUInt32LE(tileBytes) === level &&
  frame.readUIntLE(tileBytes + 4, 6) === index
