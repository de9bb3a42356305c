import type { IndexKey } from './index-keys.js'

/** At these sizes about one absent key in 1,000 passes for a present one. */
const bitsPerKey = 16
/** All bits of a key stand in one block of 64 bytes, so that asking costs one access to memory. */
const blockWords = 16
const blockBits = 32 * blockWords
const filterBlocksMax = 8 * 1024 * 1024

/** A blocked Bloom filter over keys that are spread evenly already: eight bits for each. */
export interface IndexFilter {
  readonly bytes: Uint8Array
  add(key: IndexKey): void
  mayHold(key: IndexKey): boolean
}

export const createFilter = (keys: number): IndexFilter => {
  const blocks = Math.min(filterBlocksMax, Math.max(1, Math.ceil((keys * bitsPerKey) / blockBits)))
  return filterOver(new Uint8Array(blocks * blockWords * 4))
}

/** `bytes` are whole blocks, and have memory of their own. */
export function filterOver(bytes: Uint8Array): IndexFilter {
  const words = new Uint32Array(bytes.buffer)
  const blocks = words.length / blockWords

  /** Whether the bit was set already; sets it when `set` says so. */
  const bitAt = (base: number, bit: number, set: boolean): boolean => {
    const at = base + ((bit >>> 5) & (blockWords - 1))
    const mask = 1 << (bit & 31)
    const before = words[at] ?? 0
    if (set) words[at] = before | mask
    return (before & mask) !== 0
  }
  /** The first word of the key names the block, nine bits each of the others a bit in it. */
  const all = (key: IndexKey, set: boolean): boolean => {
    const base = ((key[0] ?? 0) % blocks) * blockWords
    for (let word = 1; word < 4; word += 1) {
      let bits = key[word] ?? 0
      for (let i = word === 3 ? 1 : 0; i < 3; i += 1) {
        if (!bitAt(base, bits, set) && !set) return false
        bits >>>= 9
      }
    }
    return true
  }
  return {
    bytes,
    add: (key) => void all(key, true),
    mayHold: (key) => all(key, false),
  }
}
