import { crc32c } from '@node-rs/crc32'
import type { IndexKey } from './index-keys.js'

/**
 * A page of a run: 146 entries of seven words, the number of entries, and a checksum. An entry is the
 * key in four words, the low words of its number and its position, and both their high halves.
 */
export const pageBytes = 4096
const pageWords = pageBytes / 4
export const entryWords = 7
export const pageEntriesMax = Math.floor((pageWords - 2) / entryWords)
const countAt = pageWords - 2
const checksumAt = pageWords - 1

const half = 0x10000
const word = 0x1_0000_0000

export interface IndexEntry {
  readonly key: IndexKey
  /** Revision in a stream, `type_seq` of a type, 0 for an id. */
  readonly number: number
  readonly position: number
}

/** Words of entries; pages and lists of entries are both made of them. */
export type Words = Uint32Array

export function setEntry(words: Words, at: number, key: IndexKey, number: number, pos: number) {
  words[at] = key[0] ?? 0
  words[at + 1] = key[1] ?? 0
  words[at + 2] = key[2] ?? 0
  words[at + 3] = key[3] ?? 0
  words[at + 4] = number % word
  words[at + 5] = pos % word
  words[at + 6] = Math.floor(number / word) * half + Math.floor(pos / word)
}

export const numberAt = (words: Words, at: number): number =>
  (words[at + 4] ?? 0) + ((words[at + 6] ?? 0) >>> 16) * word

export const positionAt = (words: Words, at: number): number =>
  (words[at + 5] ?? 0) + ((words[at + 6] ?? 0) % half) * word

/** Compares the keys alone. */
export function compareKeys(a: Words, aAt: number, b: Words, bAt: number): number {
  for (let i = 0; i < 4; i += 1) {
    const difference = (a[aAt + i] ?? 0) - (b[bAt + i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The order of entries: by key, then by number. */
export const compareEntries = (a: Words, aAt: number, b: Words, bAt: number): number =>
  compareKeys(a, aAt, b, bAt) || numberAt(a, aAt) - numberAt(b, bAt)

const bytesOf = (page: Words): Uint8Array =>
  new Uint8Array(page.buffer, page.byteOffset, pageBytes - 4)

/** Closes a page: writes how many entries it holds, and the checksum. */
export function sealPage(page: Words, entries: number): void {
  page[countAt] = entries
  page[checksumAt] = crc32c(bytesOf(page))
}

/** How many entries a sound page holds; undefined when it is not sound. */
export function entriesOfPage(page: Words): number | undefined {
  const entries = page[countAt] ?? 0
  return page[checksumAt] === crc32c(bytesOf(page)) && entries > 0 && entries <= pageEntriesMax
    ? entries
    : undefined
}

/** Index of the last of `count` items that is not above the wanted one, or -1. `compare` tells item − wanted. */
export function lastNotAbove(count: number, compare: (index: number) => number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(middle) <= 0) low = middle + 1
    else high = middle
  }
  return low - 1
}
