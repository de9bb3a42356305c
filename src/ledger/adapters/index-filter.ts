import type { IndexKey } from './index-keys.js'

/** At these sizes one absent key in 1,700 passes for a present one. */
const bitsPerKey = 16
const probes = 8
const filterBytesMax = 512 * 1024 * 1024

/** A Bloom filter over keys that are spread evenly already. */
export interface IndexFilter {
  readonly bytes: Uint8Array
  add(key: IndexKey): void
  mayHold(key: IndexKey): boolean
}

const startOf = (key: IndexKey): number => ((key[0] ?? 0) ^ (key[2] ?? 0)) >>> 0
const stepOf = (key: IndexKey): number => ((key[1] ?? 0) ^ (key[3] ?? 0)) | 1

export const createFilter = (keys: number): IndexFilter =>
  filterOver(
    new Uint8Array(Math.min(filterBytesMax, Math.max(8, Math.ceil((keys * bitsPerKey) / 8)))),
  )

export function filterOver(bytes: Uint8Array): IndexFilter {
  const bits = bytes.length * 8
  return {
    bytes,
    add(key) {
      let at = startOf(key)
      const step = stepOf(key)
      for (let i = 0; i < probes; i += 1) {
        const bit = at % bits
        bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) | (1 << (bit & 7))
        at = (at + step) >>> 0
      }
    },
    mayHold(key) {
      let at = startOf(key)
      const step = stepOf(key)
      for (let i = 0; i < probes; i += 1) {
        const bit = at % bits
        if (((bytes[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return false
        at = (at + step) >>> 0
      }
      return true
    },
  }
}
