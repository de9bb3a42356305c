/** Unsigned 32-bit numbers, 4 bytes each, appended at the end. */
export interface NumberList {
  readonly length: number
  push(value: number): void
  at(index: number): number
}

export function numberList(): NumberList {
  let values = new Uint32Array(1024)
  let length = 0
  return {
    get length() {
      return length
    },
    push(value) {
      if (length === values.length) {
        const grown = new Uint32Array(values.length * 2)
        grown.set(values)
        values = grown
      }
      values[length++] = value
    },
    at(index) {
      const value = index < length ? values[index] : undefined
      if (value === undefined) throw new RangeError(`there is no entry ${index} of ${length}`)
      return value
    },
  }
}

/** 32-byte hashes, kept in blocks so that growing copies nothing. */
export interface HashList {
  readonly length: number
  push(hash: Uint8Array): void
  /** A view: callers that keep it copy it. */
  at(index: number): Uint8Array
}

const hashBytes = 32
const blockHashes = 1_024

export function hashList(): HashList {
  const blocks: Uint8Array[] = []
  let length = 0
  return {
    get length() {
      return length
    },
    push(hash) {
      const place = length % blockHashes
      if (place === 0) blocks.push(new Uint8Array(blockHashes * hashBytes))
      blocks[blocks.length - 1]?.set(hash, place * hashBytes)
      length += 1
    },
    at(index) {
      const block = index < length ? blocks[Math.floor(index / blockHashes)] : undefined
      if (block === undefined) throw new RangeError(`there is no hash ${index} of ${length}`)
      const start = (index % blockHashes) * hashBytes
      return block.subarray(start, start + hashBytes)
    },
  }
}
