import { isIndexDamage } from './index-damage.js'
import type { IndexKey } from './index-keys.js'
import {
  compareEntries,
  compareKeys,
  entryWords,
  numberAt,
  positionAt,
  type Words,
} from './index-page.js'
import { createRunSet } from './index-runs.js'
import { type FilePort, isSystemError } from './file-port.js'
import { type IndexOnDisk, openIndexOnDisk } from './index-store.js'
import type { Pace, Tell } from '../fsck-report.js'
import type { EntrySums } from './fsck-sums.js'
import { mergeRuns } from './run-merge.js'
import type { FoundEntry, SortedRun } from './sorted-run.js'

/** Positions whose entries are compared at once. */
export const bucketPositions = 65_536
/** Entries that say the same of two positions: beyond them nothing more is found out by looking. */
const repeatedMax = 10_000
const pacedEntries = 2_048
/** A running service merges runs and removes the old ones: how often the new manifest is asked for. */
const openAttemptsMax = 5

/** Entries with one key and number that the index has for two positions, by the later of them. */
export type Repeated = Map<number, number>

export const tellIndexDamage = (tell: Tell, error: unknown): void => {
  if (!isIndexDamage(error)) throw error
  const { file, offset, flaw } = error.details
  tell(String(file), Number(offset), null, String(flaw))
}

/**
 * Opens the index of a ledger, one that is being written included. Undefined when there is none;
 * null when it cannot be opened, which is told.
 */
export async function openIndexToCheck(
  files: FilePort,
  folder: string,
  origin: string,
  tell: Tell,
): Promise<IndexOnDisk | null | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openIndexOnDisk(files, folder, origin)
    } catch (error) {
      const isGone = error instanceof Error && isSystemError(error.cause, 'ENOENT')
      if (isGone && attempt < openAttemptsMax) continue
      tellIndexDamage(tell, error)
      return null
    }
  }
}

/** The entry of a key with the largest number up to `number`, of an index that was opened to be checked. */
export const lookUp = async (
  { runs }: Pick<IndexOnDisk, 'runs'>,
  key: IndexKey,
  number: number,
): Promise<FoundEntry | undefined> => createRunSet(runs).floor(key, number)

/**
 * Reads every run once, all of them together in the order of their keys: the order of the entries, the
 * checksum of every page, that each lies in the range of a run whose filter knows it, and which
 * entries say the same of two positions. Adds every entry to the sums. False when the runs are unsound.
 */
export async function scanRuns(
  { runs }: Pick<IndexOnDisk, 'runs'>,
  sums: EntrySums,
  repeated: Repeated,
  tell: Tell,
  pace: Pace,
): Promise<boolean> {
  let sound = true
  const flawed = (name: string, position: number | null, flaw: string) => {
    // One is enough: a run is made anew as a whole, and so are all of them.
    if (sound) tell(`index/${name}`, 0, position, flaw)
    sound = false
  }
  const last = new Uint32Array(entryWords)
  const key = last.subarray(0, 4)
  let lastRun: SortedRun | undefined
  let entries = 0
  const add = (words: Words, at: number): boolean => {
    const position = positionAt(words, at)
    const isSameKey = entries > 0 && compareKeys(words, at, last, 0) === 0
    if (isSameKey && numberAt(words, at) === numberAt(last, 0)) {
      const before = positionAt(last, 0)
      if (repeated.size < repeatedMax)
        repeated.set(Math.max(position, before), Math.min(position, before))
    }
    const run = runs.find(({ from, end }) => from <= position && position < end)
    if (run === undefined) flawed('manifest', position, 'no run covers an entry')
    if (entries > 0 && compareEntries(words, at, last, 0) < 0)
      flawed(run?.name ?? 'manifest', position, 'the entries are not in their order')
    for (let i = 0; i < entryWords; i += 1) last[i] = words[at + i] ?? 0
    if (run !== undefined && (!isSameKey || run !== lastRun) && !run.mayHold(key))
      flawed(run.name, position, 'the filter does not know a key of an entry')
    lastRun = run
    sums.add(Math.floor(position / bucketPositions), words, at)
    entries += 1
    return entries % pacedEntries === 0
  }
  const visitor = {
    add,
    flush: async () => pace(pacedEntries * entryWords * 4),
    finish: async () => undefined,
    abandon: async () => undefined,
  }
  try {
    await mergeRuns(runs, visitor, () => false)
  } catch (error) {
    tellIndexDamage(tell, error)
    return false
  }
  return sound
}

/** Bytes of all runs: what `scanRuns` reads. */
export const runBytesOf = ({ runs }: Pick<IndexOnDisk, 'runs'>): number =>
  runs.reduce((total, { entries }) => total + entries * entryWords * 4, 0)
