import type { IndexKey } from './index-keys.js'
import type { FoundEntry, SortedRun } from './sorted-run.js'

/** An answer that is often there at once; who needs it waits only when it must be read. */
export type Soon<Value> = Value | Promise<Value>

/** The runs of an index, oldest first; each covers the positions behind those of the one before. */
export interface RunSet {
  readonly runs: readonly SortedRun[]
  /**
   * The entry of the key with the largest number up to `number`, looked for from the newest run on:
   * numbers of one key grow with the position. @throws EvidenceError INDEX_DAMAGED.
   */
  floor(key: IndexKey, number: number): Soon<FoundEntry | undefined>
  add(run: SortedRun): void
  /** Puts one run in the place of the neighbours it was merged of. */
  replace(merged: readonly SortedRun[], by: SortedRun): void
}

export function createRunSet(opened: readonly SortedRun[] = []): RunSet {
  let runs = [...opened]

  /** Index of the newest run below `end` that may hold the key, or -1. */
  const candidate = (among: readonly SortedRun[], end: number, key: IndexKey): number => {
    for (let i = end - 1; i >= 0; i -= 1) if (among[i]?.mayHold(key) === true) return i
    return -1
  }
  const search = async (
    among: readonly SortedRun[],
    first: number,
    key: IndexKey,
    number: number,
  ): Promise<FoundEntry | undefined> => {
    for (let i = first; i >= 0; i = candidate(among, i, key)) {
      const found = await among[i]?.floor(key, number)
      if (found !== undefined) return found
    }
    return undefined
  }

  return {
    get runs() {
      return runs
    },
    floor(key, number) {
      const first = candidate(runs, runs.length, key)
      // Copied: who asks may use the memory of the key again while the disk is read.
      return first === -1 ? undefined : search(runs, first, key.slice(), number)
    },
    add: (run) => void (runs = [...runs, run]),
    replace(merged, by) {
      const [first] = merged
      runs = runs.flatMap((run) => (run === first ? [by] : merged.includes(run) ? [] : [run]))
    },
  }
}

/** Runs that are merged at once, at most. */
const mergedRunsMax = 16

/**
 * The newest runs that should become one: `fanOut` or more neighbours of which none is larger than the
 * others' tier. So every entry is copied once per tier, and each tier keeps few runs.
 */
export function runsToMerge(
  runs: readonly SortedRun[],
  tierEvents: number,
  fanOut: number,
): readonly SortedRun[] {
  const tierOf = ({ from, end }: SortedRun) =>
    Math.max(0, Math.floor(Math.log((end - from) / tierEvents) / Math.log(fanOut) + 1e-9))
  const tierMax = Math.max(0, ...runs.map(tierOf))
  for (let tier = 0; tier <= tierMax; tier += 1) {
    const first = runs.findLastIndex((run) => tierOf(run) > tier) + 1
    if (runs.length - first >= fanOut) return runs.slice(first, first + mergedRunsMax)
  }
  return []
}
