import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type BoundedCache, boundedCache } from './bounded-cache.js'
import type { FilePort } from './file-port.js'
import { indexDamage, isIndexDamage } from './index-damage.js'
import {
  createFlusher,
  type Flusher,
  type Frozen,
  type IndexLimits,
  type JournalMark,
} from './index-flush.js'
import { createIndexKeys, type IndexKeys, secretBytes } from './index-keys.js'
import { type Manifest, readManifest } from './index-manifest.js'
import type { Words } from './index-page.js'
import { createRunSet } from './index-runs.js'
import { createJournalIndex, createMemoryIndex, type JournalIndex } from './journal-index.js'
import { openPlaceList, type PlaceList, placesFile } from './place-list.js'
import { createRecentEvents, type RecentEvents } from './recent-events.js'
import { openRun, type SortedRun } from './sorted-run.js'
import { openTileFiles, type TileFiles, tilesFile } from './tile-files.js'
import { createTreeHashes, flawOfEdges, type LevelEdge, type TreeHashes } from './tree-hashes.js'

export const indexFolder = (folder: string): string => join(folder, 'index')
const cachedPagesMax = 2_048

export const indexLimits: IndexLimits = {
  flushEvents: 65_536,
  closingFlushEvents: 4_096,
  fanOut: 4,
  frozenMax: 4,
}

/** Index and tree of a ledger, how far they came from disk, and what keeps them there. */
export interface IndexStore {
  readonly index: JournalIndex
  readonly tree: TreeHashes
  /** What the manifest said; undefined when all must be read from the journal. */
  readonly manifest: Manifest | undefined
  /** Tells that a group ended here, its events added. */
  readonly endGroup: (mark: () => JournalMark) => void
  /** Undefined while there is room for another group. @throws NotDurable when the disk is full. */
  room(): Promise<void> | undefined
  /** Writes what is worth it and closes the files. */
  close(): Promise<void>
}

export interface IndexOptions {
  readonly files: FilePort
  /** Folder of the ledger. */
  readonly folder: string
  readonly origin: string
  readonly limits: IndexLimits
  /** Called once when the index can no longer be written. */
  readonly onFailure: (cause: unknown) => void
}

/** Index and tree in memory alone: of a ledger that is only looked at and has none on disk. */
export function memoryStore(): IndexStore {
  const tree = createTreeHashes()
  return {
    index: createMemoryIndex(tree),
    tree,
    manifest: undefined,
    endGroup: () => undefined,
    room: () => undefined,
    close: async () => undefined,
  }
}

/** Opens the index that is there to look at it; undefined when there is none. @throws EvidenceError INDEX_DAMAGED. */
export async function openIndexView(options: IndexOptions): Promise<IndexStore | undefined> {
  const manifest = await readManifest(options.files, indexFolder(options.folder))
  return manifest === undefined ? undefined : openStore(options, manifest, 'read')
}

/** Opens the index for writing, or begins an empty one. @throws EvidenceError INDEX_DAMAGED. */
export async function openIndexStore(options: IndexOptions): Promise<IndexStore> {
  const { files } = options
  const folder = indexFolder(options.folder)
  await files.createFolder(folder)
  const manifest = await readManifest(files, folder)
  // What no manifest names is left from a stop in the middle.
  const named = new Set(manifest === undefined ? [] : ['manifest', placesFile, ...manifest.runs])
  manifest?.edges.forEach((_, level) => named.add(tilesFile(level)))
  for (const name of await files.list(folder))
    if (!named.has(name)) await files.remove(join(folder, name))
  return openStore(options, manifest, 'write')
}

const emptyManifest = (origin: string): Manifest => ({
  through: 0,
  origin,
  secret: randomBytes(secretBytes).toString('base64'),
  segments: [],
  group: { offset: 0, position: 0 },
  last_time_ms: 0,
  clock_alarm: false,
  runs: [],
  next_run: 0,
  edges: [],
})

/** The files that a manifest names, open. */
interface IndexFiles {
  readonly runs: readonly SortedRun[]
  readonly places: PlaceList
  readonly tiles: TileFiles
}

async function openFiles(
  files: FilePort,
  folder: string,
  manifest: Manifest,
  pageCache: BoundedCache<string, Words>,
  mode: 'read' | 'write',
): Promise<IndexFiles> {
  const runs: SortedRun[] = []
  try {
    for (const name of manifest.runs) runs.push(await openRun(files, folder, name, pageCache))
    const places = await openPlaceList(files, folder, manifest.through, mode)
    return { runs, places, tiles: openTileFiles(files, folder, mode) }
  } catch (error) {
    for (const run of runs) await run.close()
    throw error
  }
}

/** What stands on disk of an index, open for reading. */
export interface IndexOnDisk extends IndexFiles {
  readonly manifest: Manifest
  readonly edges: readonly LevelEdge[]
  close(): Promise<void>
}

/**
 * Opens the files of an index to compare them with the journal, beside a process that writes it or
 * not; undefined when there is none. @throws EvidenceError INDEX_DAMAGED.
 */
export async function openIndexOnDisk(
  files: FilePort,
  ledgerFolder: string,
  origin: string,
): Promise<IndexOnDisk | undefined> {
  const folder = indexFolder(ledgerFolder)
  const manifest = await readManifest(files, folder)
  if (manifest === undefined || manifest.through === 0) return undefined
  const edges = edgesOf(manifest, origin)
  const pageCache = boundedCache<string, Words>(cachedPagesMax)
  const parts = await openFiles(files, folder, manifest, pageCache, 'read')
  return {
    ...parts,
    manifest,
    edges,
    async close() {
      for (const run of parts.runs) await run.close()
      await parts.places.close()
      await parts.tiles.close()
    },
  }
}

/** The right edge of the tree as the manifest gives it. @throws EvidenceError INDEX_DAMAGED. */
function edgesOf(manifest: Manifest, origin: string) {
  const edges = manifest.edges.map(({ full, hashes }) => ({
    full,
    hashes: Buffer.from(hashes, 'base64'),
  }))
  const flaw = flawOfEdges(edges, manifest.through)
  if (flaw !== undefined) throw indexDamage('manifest', 0, flaw)
  if (manifest.origin !== origin)
    throw indexDamage('manifest', 0, `it is the index of ${manifest.origin}`)
  return edges
}

async function openStore(
  options: IndexOptions,
  found: Manifest | undefined,
  mode: 'read' | 'write',
): Promise<IndexStore> {
  const { files, limits } = options
  const folder = indexFolder(options.folder)
  const manifest = found ?? emptyManifest(options.origin)
  const edges = edgesOf(manifest, options.origin)
  const pageCache = boundedCache<string, Words>(cachedPagesMax)
  const { runs, places, tiles } = await openFiles(files, folder, manifest, pageCache, mode)
  const guard = createGuard(() => (mode === 'write' ? flusher : undefined))
  const tree = createTreeHashes({ read: (level, tile) => guard(tiles.read(level, tile)) }, edges)
  const keys = createIndexKeys(Buffer.from(manifest.secret, 'base64'))
  const runSet = createRunSet(runs)
  const frozen: Frozen[] = []
  const flusher = createFlusher({
    files,
    folder,
    runs: runSet,
    places,
    tiles,
    tree,
    frozen,
    pageCache,
    manifest,
    limits,
    onFailure: options.onFailure,
  })
  const gathered = gathering(manifest.through, { keys, frozen, flusher, tree, mode, limits })
  const index = createJournalIndex({
    keys,
    runs: {
      floor(key, number) {
        const entry = runSet.floor(key, number)
        return entry instanceof Promise ? guard(entry) : entry
      },
      isEmpty: () => runSet.runs.length === 0,
    },
    readPlaces: (positions) => guard(places.read(positions)),
    recent: gathered.recent,
    tree,
  })
  return {
    index,
    tree,
    manifest: found,
    endGroup: gathered.endGroup,
    room: () => flusher.room(),
    async close() {
      gathered.end()
      await flusher.end()
      for (const run of runSet.runs) await run.close()
      await places.close()
      await tiles.close()
    },
  }
}

/** Sees to it that an index in which damage was found is not used by another start. */
const createGuard =
  (flusher: () => Flusher | undefined) =>
  async <Value>(reading: Promise<Value>): Promise<Value> => {
    try {
      return await reading
    } catch (error) {
      if (isIndexDamage(error)) flusher()?.giveUp(error)
      throw error
    }
  }

/** The events that are not written yet: one gathering that takes more, and full ones that wait. */
function gathering(
  through: number,
  parts: {
    readonly keys: IndexKeys
    readonly frozen: Frozen[]
    readonly flusher: Flusher
    readonly tree: TreeHashes
    readonly mode: 'read' | 'write'
    readonly limits: IndexLimits
  },
) {
  const { keys, frozen, flusher, tree, mode, limits } = parts
  let active = createRecentEvents(through, keys)
  let recent: readonly RecentEvents[] = [active]
  let mark: (() => JournalMark) | undefined
  const freeze = (at: () => JournalMark) => {
    frozen.push({ events: active, tree: tree.toWrite(), mark: at() })
    active = createRecentEvents(active.from + active.count, keys)
    flusher.notify()
  }
  return {
    recent: () => {
      // Asked for every id: made anew only when a gathering was closed or written.
      if (recent.length !== frozen.length + 1 || recent[0] !== active)
        recent = [active, ...frozen.map(({ events }) => events).reverse()]
      return recent
    },
    endGroup: (at: () => JournalMark) => {
      mark = at
      if (mode === 'write' && active.count >= limits.flushEvents) freeze(at)
    },
    end() {
      if (mode === 'write' && mark !== undefined && active.count >= limits.closingFlushEvents)
        freeze(mark)
    },
  }
}
