import { randomBytes } from 'node:crypto'
import { entryWords, type Words } from './index-page.js'

const lanes = 4

/**
 * One sum per bucket over the entries that belong to it, whatever their order: so the entries of a
 * sorted run and those that the journal says can be compared without holding either. The seeds are
 * drawn for each check; nobody can make other entries with the same sum beforehand.
 */
export interface EntrySums {
  add(bucket: number, words: Words, at: number): void
  isEqual(bucket: number, other: EntrySums): boolean
  /** The sum of one bucket and how many entries it has. */
  of(bucket: number): readonly number[]
  set(bucket: number, sum: readonly number[]): void
}

export const drawSeeds = (): Words => Uint32Array.from(randomBytes(lanes * 4))

export function createEntrySums(seeds: Words): EntrySums {
  let sums = new Uint32Array(64 * (lanes + 1))
  const startOf = (bucket: number): number => {
    const start = bucket * (lanes + 1)
    if (start + lanes >= sums.length) {
      const grown = new Uint32Array(Math.max(sums.length * 2, start + lanes + 1))
      grown.set(sums)
      sums = grown
    }
    return start
  }
  const of = (bucket: number): readonly number[] => {
    const start = startOf(bucket)
    return [...sums.subarray(start, start + lanes + 1)]
  }
  return {
    add(bucket, words, at) {
      const start = startOf(bucket)
      for (let lane = 0; lane < lanes; lane += 1)
        sums[start + lane] = (sums[start + lane] ?? 0) + mix(words, at, seeds[lane] ?? 0)
      sums[start + lanes] = (sums[start + lanes] ?? 0) + 1
    },
    of,
    set: (bucket, sum) => sums.set(sum.slice(0, lanes + 1), startOf(bucket)),
    isEqual: (bucket, other) => of(bucket).join() === other.of(bucket).join(),
  }
}

/** 32 bits in which every bit of the entry and of the seed takes part. */
function mix(words: Words, at: number, seed: number): number {
  let h = seed
  for (let i = 0; i < entryWords; i += 1) {
    h = Math.imul(h ^ (words[at + i] ?? 0), 0x9e3779b1)
    h ^= h >>> 15
    h = Math.imul(h, 0x85ebca6b)
    h ^= h >>> 13
  }
  h = Math.imul(h ^ seed, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
