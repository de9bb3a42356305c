/** Remembers what was used last: at least `max` entries, at most twice as many. */
export interface BoundedCache<Key, Value> {
  get(key: Key): Value | undefined
  set(key: Key, value: Value): void
  clear(): void
}

export function boundedCache<Key, Value>(max: number): BoundedCache<Key, Value> {
  // Two generations cost less than putting every used entry at the end of one map.
  let young = new Map<Key, Value>()
  let old = new Map<Key, Value>()
  const set = (key: Key, value: Value) => {
    young.set(key, value)
    if (young.size < max) return
    old = young
    young = new Map()
  }
  return {
    get(key) {
      const value = young.get(key)
      if (value !== undefined) return value
      const aged = old.get(key)
      if (aged !== undefined) set(key, aged)
      return aged
    },
    set,
    clear() {
      young = new Map()
      old = new Map()
    },
  }
}
