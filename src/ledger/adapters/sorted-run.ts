import { crc32c } from '@node-rs/crc32'
import { join } from 'node:path'
import type { BoundedCache } from './bounded-cache.js'
import type { FilePort, LedgerFile } from './file-port.js'
import { indexDamage } from './index-damage.js'
import { filterOver, type IndexFilter } from './index-filter.js'
import type { IndexKey } from './index-keys.js'
import {
  compareEntries,
  compareKeys,
  entriesOfPage,
  entryWords,
  lastNotAbove,
  numberAt,
  pageBytes,
  pageEntriesMax,
  positionAt,
  setEntry,
  type Words,
} from './index-page.js'

const magic = Buffer.from('FLRUN01\n', 'latin1')
/** Version 1 had another filter. */
const formatVersion = 2
const headBytes = 64
/** First entry of a page: its key and number; the two words behind are not used. */
export const firstWords = entryWords

/** What the header of a run says: a file of sorted entries that is written once and never changed. */
export interface RunHead {
  readonly entries: number
  /** Different keys among them, at most. */
  readonly keys: number
  /** The entries are those of the events at positions [from, end). */
  readonly from: number
  readonly end: number
  readonly filterBytes: number
}

export interface FoundEntry {
  readonly number: number
  readonly position: number
}

export interface SortedRun extends RunHead {
  readonly name: string
  readonly pages: number
  mayHold(key: IndexKey): boolean
  /** The last entry of the key whose number is at most `number`. @throws EvidenceError INDEX_DAMAGED. */
  floor(key: IndexKey, number: number): Promise<FoundEntry | undefined>
  /** Sound pages from `first` on, one behind the other, and how many entries each holds. */
  readPages(first: number, count: number): Promise<readonly Words[]>
  close(): Promise<void>
}

export const pagesOf = (entries: number): number => Math.ceil(entries / pageEntriesMax)
const filterAt = (entries: number): number => pageBytes * (1 + pagesOf(entries))

export function encodeRunHead(head: RunHead, filter: Uint8Array, firsts: Words): Buffer {
  const bytes = Buffer.alloc(pageBytes)
  magic.copy(bytes, 0)
  bytes.writeUInt32LE(formatVersion, 8)
  bytes.writeUIntLE(head.entries, 12, 6)
  bytes.writeUIntLE(head.keys, 18, 6)
  bytes.writeUIntLE(head.from, 24, 6)
  bytes.writeUIntLE(head.end, 30, 6)
  bytes.writeUIntLE(head.filterBytes, 36, 6)
  bytes.writeUInt32LE(crc32c(filter), 48)
  bytes.writeUInt32LE(crc32c(bytesOfWords(firsts)), 52)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, headBytes - 4)), headBytes - 4)
  return bytes
}

export const bytesOfWords = (words: Words): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength)

/** Opens a run and reads what is kept in memory of it: filter and first entry of each page. @throws EvidenceError INDEX_DAMAGED. */
export async function openRun(
  files: FilePort,
  folder: string,
  name: string,
  pageCache: BoundedCache<string, Words>,
): Promise<SortedRun> {
  const file = await files.open(join(folder, name), 'read').catch((cause: unknown) => {
    throw Object.assign(indexDamage(name, 0, 'it cannot be opened'), { cause })
  })
  try {
    const bytes = Buffer.alloc(headBytes)
    await file.read(bytes, 0)
    if (
      bytes.readUInt32LE(headBytes - 4) !== crc32c(bytes.subarray(0, headBytes - 4)) ||
      !bytes.subarray(0, 8).equals(magic) ||
      bytes.readUInt32LE(8) !== formatVersion
    )
      throw indexDamage(name, 0, 'the header does not match its checksum')
    const head = {
      entries: bytes.readUIntLE(12, 6),
      keys: bytes.readUIntLE(18, 6),
      from: bytes.readUIntLE(24, 6),
      end: bytes.readUIntLE(30, 6),
      filterBytes: bytes.readUIntLE(36, 6),
    }
    const filterOffset = filterAt(head.entries)
    const firsts = new Uint32Array(pagesOf(head.entries) * firstWords)
    const firstsOffset = filterOffset + head.filterBytes
    if ((await file.size()) !== firstsOffset + firsts.byteLength)
      throw indexDamage(name, 0, 'the file has another length than its header says')
    const filter = new Uint8Array(head.filterBytes)
    await file.read(filter, filterOffset)
    if (bytes.readUInt32LE(48) !== crc32c(filter))
      throw indexDamage(name, filterOffset, 'the filter does not match its checksum')
    await file.read(bytesOfWords(firsts), firstsOffset)
    if (bytes.readUInt32LE(52) !== crc32c(bytesOfWords(firsts)))
      throw indexDamage(name, firstsOffset, 'the list of pages does not match its checksum')
    return runOver(file, name, head, filterOver(filter), firsts, pageCache)
  } catch (error) {
    await file.close()
    throw error
  }
}

function runOver(
  file: LedgerFile,
  name: string,
  head: RunHead,
  filter: IndexFilter,
  firsts: Words,
  cache: BoundedCache<string, Words>,
): SortedRun {
  const pages = pagesOf(head.entries)
  let reading = 0
  let closing: (() => void) | undefined

  const readPages = async (first: number, count: number): Promise<readonly Words[]> => {
    const bytes = new Uint8Array(count * pageBytes)
    reading += 1
    try {
      await file.read(bytes, pageBytes * (1 + first))
    } finally {
      reading -= 1
      if (reading === 0) closing?.()
    }
    return Array.from({ length: count }, (_, i) => {
      const page = new Uint32Array(bytes.buffer, i * pageBytes, pageBytes / 4)
      if (entriesOfPage(page) === undefined)
        throw indexDamage(name, pageBytes * (1 + first + i), 'the page does not match its checksum')
      return page
    })
  }

  const pageAt = async (page: number): Promise<Words> => {
    const known = cache.get(`${name}/${page}`)
    if (known !== undefined) return known
    const [read] = await readPages(page, 1)
    if (read === undefined) throw new RangeError(`${name} has no page ${page}`)
    cache.set(`${name}/${page}`, read)
    return read
  }

  return {
    name,
    ...head,
    pages,
    mayHold: (key) => filter.mayHold(key),
    readPages,
    async floor(key, number) {
      const wanted = new Uint32Array(entryWords)
      setEntry(wanted, 0, key, number, 0)
      const page = lastNotAbove(pages, (i) => compareEntries(firsts, i * firstWords, wanted, 0))
      if (page < 0) return undefined
      const words = await pageAt(page)
      const entries = entriesOfPage(words) ?? 0
      const at =
        entryWords * lastNotAbove(entries, (i) => compareEntries(words, i * entryWords, wanted, 0))
      if (at < 0 || compareKeys(words, at, wanted, 0) !== 0) return undefined
      return { number: numberAt(words, at), position: positionAt(words, at) }
    },
    async close() {
      // A reader that found this run a moment ago may still be reading it.
      if (reading > 0) await new Promise<void>((resolve) => (closing = resolve))
      await file.close()
    },
  }
}
