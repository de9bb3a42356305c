import type { IndexKey } from './index-keys.js'

const keyWords = 4
const slotsMin = 512

/**
 * Numbers by 128-bit key, in two flat arrays: the collector of garbage has nothing to follow there. The
 * keys are spread evenly and secret (`IndexKeys`), so the first word says where to look.
 */
export interface IdTable {
  readonly size: number
  get(key: IndexKey): number | undefined
  /** The key must not be there yet. */
  add(key: IndexKey, value: number): void
  /** All pairs, in no order; the key is good until the next one comes. */
  entries(): Iterable<readonly [IndexKey, number]>
}

/** `value` is below 2^32 − 1. */
export function createIdTable(): IdTable {
  let slots = slotsMin
  let keys = new Uint32Array(slots * keyWords)
  /** The value and 1; 0 where nothing stands. */
  let values = new Uint32Array(slots)
  let size = 0

  /** The slot of the key, or the free one where it belongs. */
  const slotOf = (key: IndexKey): number => {
    const a = key[0] ?? 0
    const b = key[1] ?? 0
    const c = key[2] ?? 0
    const d = key[3] ?? 0
    const mask = slots - 1
    let slot = a & mask
    for (; values[slot] !== 0; slot = (slot + 1) & mask) {
      const at = slot * keyWords
      if (keys[at] === a && keys[at + 1] === b && keys[at + 2] === c && keys[at + 3] === d) break
    }
    return slot
  }
  const put = (slot: number, key: IndexKey, value: number) => {
    const at = slot * keyWords
    for (let word = 0; word < keyWords; word += 1) keys[at + word] = key[word] ?? 0
    values[slot] = value
  }
  const grow = () => {
    const before = { keys, values }
    slots *= 2
    keys = new Uint32Array(slots * keyWords)
    values = new Uint32Array(slots)
    for (const [slot, value] of before.values.entries()) {
      if (value === 0) continue
      const key = before.keys.subarray(slot * keyWords, (slot + 1) * keyWords)
      put(slotOf(key), key, value)
    }
  }

  return {
    get size() {
      return size
    },
    get(key) {
      const value = values[slotOf(key)] ?? 0
      return value === 0 ? undefined : value - 1
    },
    add(key, value) {
      if (2 * (size + 1) > slots) grow()
      put(slotOf(key), key, value + 1)
      size += 1
    },
    *entries() {
      for (let slot = 0; slot < slots; slot += 1) {
        const value = values[slot] ?? 0
        if (value > 0) yield [keys.subarray(slot * keyWords, (slot + 1) * keyWords), value - 1]
      }
    },
  }
}
