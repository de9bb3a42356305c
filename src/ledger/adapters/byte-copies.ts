const blockBytes = 256 * 1024

/** Copies of byte strings. Small ones share a block of memory, which lives as long as the last of them. */
export interface ByteCopies {
  take(bytes: Uint8Array): Uint8Array
}

export function createByteCopies(): ByteCopies {
  let block = new Uint8Array(0)
  let used = 0
  return {
    take(bytes) {
      const { length } = bytes
      if (length > blockBytes / 16) return Uint8Array.from(bytes)
      if (used + length > block.length) {
        block = new Uint8Array(blockBytes)
        used = 0
      }
      const copy = block.subarray(used, used + length)
      copy.set(bytes)
      used += length
      return copy
    },
  }
}
