import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FilePort } from './file-port.js'
import { compareEntries, entriesOfPage, entryWords, type Words } from './index-page.js'
import { createRunWriter, type RunWriter } from './run-writer.js'
import type { RunHead, SortedRun } from './sorted-run.js'

const windowPages = 64
/** Entries that are merged before others may run: a few milliseconds at most. */
const stepEntries = 8_192

/** What a merge needs of a run. */
export type MergedRun = Pick<SortedRun, 'pages' | 'readPages'>

/** Where a merge stands in one of its runs. */
interface Cursor {
  readonly run: MergedRun
  pages: readonly Words[]
  nextPage: number
  page: number
  entry: number
  entries: number
  words: Words
}

/** Goes on to the next entry without waiting; false when another window must be read first. */
function advance(cursor: Cursor): boolean {
  cursor.entry += 1
  if (cursor.entry < cursor.entries) return true
  cursor.page += 1
  const words = cursor.pages[cursor.page]
  if (words === undefined) return false
  enter(cursor, words)
  return true
}

function enter(cursor: Cursor, words: Words) {
  cursor.words = words
  cursor.entry = 0
  cursor.entries = entriesOfPage(words) ?? 0
}

/** Reads the next window; false at the end of the run. */
async function refill(cursor: Cursor): Promise<boolean> {
  const count = Math.min(windowPages, cursor.run.pages - cursor.nextPage)
  if (count === 0) return false
  cursor.pages = await cursor.run.readPages(cursor.nextPage, count)
  cursor.nextPage += count
  cursor.page = 0
  const [words] = cursor.pages
  if (words === undefined) return false
  enter(cursor, words)
  return true
}

/** What is to be merged, and into which run. */
export interface MergePlan {
  readonly folder: string
  readonly name: string
  readonly head: Omit<RunHead, 'filterBytes'>
}

/**
 * Merges runs into a new one. `isOver` ends it early: then the file is removed again and the answer is false.
 */
export async function mergeInto(
  files: FilePort,
  { folder, name, head }: MergePlan,
  runs: readonly MergedRun[],
  isOver: () => boolean,
): Promise<boolean> {
  const writer = await createRunWriter(files, folder, name, head)
  try {
    const whole = await mergeRuns(runs, writer, isOver)
    if (whole) await writer.finish()
    else await writer.abandon()
    return whole
  } catch (error) {
    await writer.abandon().catch(() => undefined)
    throw error
  }
}

/** Merges entries in bounded steps, so that others go on beside it. */
export async function mergeRuns(
  runs: readonly MergedRun[],
  writer: RunWriter,
  isOver: () => boolean,
): Promise<boolean> {
  const cursors: Cursor[] = []
  for (const run of runs) {
    const cursor = {
      run,
      pages: [],
      nextPage: 0,
      page: 0,
      entry: 0,
      entries: 0,
      words: new Uint32Array(),
    }
    if (await refill(cursor)) cursors.push(cursor)
  }
  for (let steps = 1; cursors.length > 0; steps += 1) {
    const least = leastOf(cursors)
    if (writer.add(least.words, least.entry * entryWords)) await writer.flush()
    if (!advance(least) && !(await refill(least))) cursors.splice(cursors.indexOf(least), 1)
    if (steps % stepEntries === 0) {
      await nextTurn()
      if (isOver()) return false
    }
  }
  return true
}

function leastOf(cursors: readonly Cursor[]): Cursor {
  let least = cursors[0]
  for (const cursor of cursors) {
    if (
      least === undefined ||
      compareEntries(
        cursor.words,
        cursor.entry * entryWords,
        least.words,
        least.entry * entryWords,
      ) < 0
    )
      least = cursor
  }
  if (least === undefined) throw new RangeError('there is nothing to merge')
  return least
}
