import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import type { BoundedCache } from './bounded-cache.js'
import { type FilePort, isDiskFull, isSystemError, NotDurable } from './file-port.js'
import { dropManifest, type Manifest, writeManifest } from './index-manifest.js'
import { entryWords, type Words } from './index-page.js'
import { type RunSet, runsToMerge } from './index-runs.js'
import type { PlaceList } from './place-list.js'
import type { RecentEvents } from './recent-events.js'
import { merge } from './merge-thread.js'
import { createRunWriter } from './run-writer.js'
import { openRun, type SortedRun } from './sorted-run.js'
import type { TileFiles } from './tile-files.js'
import type { TreeHashes, TreeWrite } from './tree-hashes.js'

/** Entries that are written to pages before appends may go on. */
const stepEntries = 8_192
/** How long after a full disk the index is tried again. */
const diskFullRetryMs = 1_000

/** Where the journal stood when a gathering was closed. */
export type JournalMark = Pick<Manifest, 'segments' | 'group' | 'last_time_ms' | 'clock_alarm'>

/** A gathering of events that takes no more and waits to be written. */
export interface Frozen {
  readonly events: RecentEvents
  readonly tree: TreeWrite
  readonly mark: JournalMark
}

export interface IndexLimits {
  /** Events that are gathered in memory before they are written as a run. */
  readonly flushEvents: number
  /** When the ledger closes, fewer events than these are left for the next start to read again. */
  readonly closingFlushEvents: number
  /** Runs of one size that become one. */
  readonly fanOut: number
  /** Gatherings that wait for the disk; beyond them appends wait too. */
  readonly frozenMax: number
}

export interface FlushParts {
  readonly files: FilePort
  readonly folder: string
  readonly runs: RunSet
  readonly places: PlaceList
  readonly tiles: TileFiles
  readonly tree: TreeHashes
  readonly frozen: Frozen[]
  readonly pageCache: BoundedCache<string, Words>
  readonly manifest: Manifest
  readonly limits: IndexLimits
  readonly onFailure: (cause: unknown) => void
}

/**
 * Writes gatherings out, oldest first, and merges runs, both beside the appends. Each step is nothing
 * until the manifest names it: if we stop anywhere, the next start goes on from the manifest.
 */
export interface Flusher {
  /** A gathering waits in `frozen`. */
  notify(): void
  /** Undefined while there is room for another gathering. @throws NotDurable when the disk is full. */
  room(): Promise<void> | undefined
  /** Nothing is written any more, and the next start makes the index anew. */
  giveUp(damage: unknown): void
  /** Writes what waits, ends merging, and resolves when nothing runs any more. */
  end(): Promise<void>
}

export function createFlusher(parts: FlushParts): Flusher {
  const { files, folder, runs, frozen } = parts
  let manifest = parts.manifest
  let nextRun = manifest.next_run
  let ended = false
  let failed: unknown
  let flushing: Promise<void> | null = null
  let merging: Promise<void> | null = null
  let publishing: Promise<void> = Promise.resolve()
  let waiting: (() => void)[] = []

  const nameOfRun = () => `${String((nextRun += 1)).padStart(8, '0')}.run`

  /** One manifest after the other: writing and merging both change it. */
  const publish = async (change: () => Partial<Manifest>) => {
    const before = publishing
    let done = () => {}
    publishing = new Promise((resolve) => (done = resolve))
    try {
      await before
      if (failed !== undefined) throw new Error('the index is given up', { cause: failed })
      const next = { ...manifest, ...change(), next_run: nextRun }
      await writeManifest(files, folder, next)
      manifest = next
    } finally {
      done()
    }
  }
  const namesWith = (...more: readonly SortedRun[]) =>
    [...runs.runs, ...more].map(({ name }) => name)

  const write = async ({ events, tree, mark }: Frozen) => {
    const name = nameOfRun()
    const end = events.from + events.count
    const { words, keys } = await events.sorted()
    let run: SortedRun | undefined
    if (words.length > 0) {
      const plan = { entries: words.length / entryWords, keys, from: events.from, end }
      await writeRun(files, folder, name, plan, words)
      run = await openRun(files, folder, name, parts.pageCache)
    }
    await parts.places.append(events.places(), events.from)
    for (const [level, { first, tiles }] of tree.tiles.entries())
      if (tiles.length > 0) await parts.tiles.write(level, first, tiles)
    const edges = tree.edges.map(({ full, hashes }) => ({
      full,
      hashes: Buffer.from(hashes).toString('base64'),
    }))
    try {
      await publish(() => ({
        ...mark,
        through: end,
        edges,
        runs: namesWith(...(run === undefined ? [] : [run])),
      }))
    } catch (error) {
      await run?.close()
      throw error
    }
    parts.places.grow(end)
    if (run !== undefined) runs.add(run)
    parts.tree.written(tree)
    frozen.shift()
  }

  const wake = () => {
    for (const resolve of waiting) resolve()
    waiting = []
  }

  const flush = async () => {
    for (let next = frozen[0]; next !== undefined && failed === undefined; next = frozen[0]) {
      try {
        await write(next)
        fullDisk = undefined
        mergeMore()
      } catch (cause) {
        if (!isNoSpace(cause)) fail(cause)
        else {
          fullDisk = cause
          wake()
          if (ended) break
          await wait(diskFullRetryMs)
        }
      }
      wake()
    }
    flushing = null
  }
  let fullDisk: unknown

  const fail = (cause: unknown) => {
    if (failed !== undefined) return
    failed = cause
    parts.onFailure(cause)
    wake()
  }

  const mergeAll = async () => {
    try {
      for (;;) {
        const chosen = runsToMerge(runs.runs, parts.limits.flushEvents, parts.limits.fanOut)
        if (chosen.length === 0 || ended || failed !== undefined) break
        if (!(await mergeOnce(chosen))) break
      }
    } catch (cause) {
      // Without space the runs stay as they are; the next one asks again.
      if (!isNoSpace(cause)) fail(cause)
    }
  }
  // Cleared behind the assignment: with nothing to merge it ends at once.
  const mergeMore = () => {
    merging ??= mergeAll().finally(() => (merging = null))
  }

  const mergeOnce = async (chosen: readonly SortedRun[]): Promise<boolean> => {
    const name = nameOfRun()
    const sum = (of: (run: SortedRun) => number) =>
      chosen.reduce((total, run) => total + of(run), 0)
    const head = {
      entries: sum(({ entries }) => entries),
      keys: sum(({ keys }) => keys),
      from: chosen[0]?.from ?? 0,
      end: chosen.at(-1)?.end ?? 0,
    }
    const over = () => ended || failed !== undefined
    if (!(await merge(files, { folder, name, head }, chosen, over))) return false
    const merged = await openRun(files, folder, name, parts.pageCache)
    let unused: readonly SortedRun[] = [merged]
    try {
      await publish(() => {
        // Readers may use the merged run from here on; the manifest names it before the old ones go.
        runs.replace(chosen, merged)
        unused = chosen
        return { runs: namesWith() }
      })
    } finally {
      for (const run of unused) await run.close()
    }
    for (const { name: old } of chosen) await files.remove(`${folder}/${old}`)
    return true
  }

  return {
    notify: () => void (flushing ??= flush()),
    room() {
      if (frozen.length < parts.limits.frozenMax || failed !== undefined) return undefined
      if (fullDisk !== undefined) return Promise.reject(new NotDurable('write', true, fullDisk))
      return new Promise<void>((resolve) => waiting.push(resolve)).then(() => this.room())
    },
    giveUp(damage) {
      if (failed !== undefined) return
      fail(damage)
      publishing = publishing.then(() => dropManifest(files, folder)).catch(() => undefined)
    },
    async end() {
      ended = true
      await flushing
      await merging
      await publishing
    },
  }
}

const isNoSpace = (error: unknown): boolean =>
  isDiskFull(error) || isSystemError(error, 'ENOSPC') || isSystemError(error, 'EDQUOT')

async function writeRun(
  files: FilePort,
  folder: string,
  name: string,
  plan: { readonly entries: number; keys: number; from: number; end: number },
  words: Words,
) {
  const writer = await createRunWriter(files, folder, name, plan)
  try {
    for (let at = 0; at < words.length; at += entryWords) {
      if (writer.add(words, at)) await writer.flush()
      if (at % (entryWords * stepEntries) === 0) await nextTurn()
    }
    await writer.finish()
  } catch (error) {
    await writer.abandon().catch(() => undefined)
    throw error
  }
}
