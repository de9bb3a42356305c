import type { Leaf } from '../../contracts/leaf.js'
import { hexOf } from '../encoding.js'
import { bucketPositions, lookUp, tellIndexDamage } from './fsck-index.js'
import type { Pace, Tell } from '../fsck-report.js'
import { createEntrySums, type EntrySums } from './fsck-sums.js'
import type { JournalMark } from './index-flush.js'
import { createIndexKeys, type IndexKey } from './index-keys.js'
import {
  type IndexEntry,
  entryWords,
  numberAt,
  positionAt,
  setEntry,
  type Words,
} from './index-page.js'
import type { IndexOnDisk } from './index-store.js'
import { type MarkedPlace, placeBytes, placesFile } from './place-list.js'
import type { LevelEdge, TreeWrite } from './tree-hashes.js'
import { tileBytes, tilesFile } from './tile-files.js'

const placesAtOnce = 2_048
const placesHeadBytes = 64
const entriesPerEvent = 3
/** Wrong entries of one bucket, or places at once, that are named. */
const namedAtOnceMax = 20
const pacedLookUps = 64

/** What the journal says where the index ends; undefined is not known. */
export type KnownMark = Pick<JournalMark, 'segments' | 'group'> & {
  readonly last_time_ms: number | undefined
  readonly clock_alarm: boolean | undefined
}

/** Compares what the journal says, position by position, with what the index on disk says of it. */
export interface IndexComparison {
  /** Takes the next position; those of leaves that cannot be read are left out. */
  add(position: number, place: MarkedPlace, leaf: Leaf | null): void
  /** Whether so much was taken that `settle` must be called before the next. */
  readonly isDue: boolean
  /** Compares what was taken. */
  settle(): Promise<void>
  /** The same before positions are left out, and at the end. */
  settleAll(): Promise<void>
  tiles(write: TreeWrite): Promise<void>
  /** At the position where the index ends. */
  manifest(mark: KnownMark, edges: readonly LevelEdge[]): void
  /** Compares all but the entries of the present bucket, and answers how far those are. */
  state(): Promise<ComparisonState>
  /** False as soon as anything differs. */
  readonly agrees: boolean
}

/** What a comparison that goes on must know of the bucket in which the one before ended. */
export interface ComparisonState {
  readonly seeds: readonly number[]
  /** Positions of the bucket that were added, and the sum of their entries. */
  readonly added: number
  readonly sum: readonly number[]
  readonly agrees: boolean
}

export interface ComparisonParts {
  readonly index: IndexOnDisk
  /** The entries of the runs, from `scanRuns`, and the seeds they were added with. */
  readonly sums: EntrySums
  readonly seeds: Words
  /** Entries of positions below this one are in the sums. */
  readonly summedThrough: number
  /** The first position that is added. */
  readonly from: number
  readonly before?: ComparisonState | undefined
  readonly tell: Tell
  readonly pace: Pace
}

export function createIndexComparison(parts: ComparisonParts): IndexComparison {
  const { index, sums, tell, pace } = parts
  const { through } = index.manifest
  const keys = createIndexKeys(Buffer.from(index.manifest.secret, 'base64'))
  const own = createEntrySums(parts.seeds)
  const words = new Uint32Array(bucketPositions * entriesPerEvent * entryWords)
  let entries = 0
  let bucket = Math.floor(parts.from / bucketPositions)
  /** Positions of the present bucket that were added. */
  let added = parts.before?.added ?? 0
  let places: { position: number; place: MarkedPlace }[] = []
  let agrees = parts.before?.agrees ?? true
  if (parts.before !== undefined) own.set(bucket, parts.before.sum)

  const differs: Tell = (...flaw) => {
    agrees = false
    tell(...flaw)
  }
  const put = (key: IndexKey, number: number, position: number) => {
    setEntry(words, entries * entryWords, key, number, position)
    own.add(bucket, words, entries * entryWords)
    entries += 1
  }
  const endOf = (one: number) => Math.min((one + 1) * bucketPositions, through)

  /** Looks every entry of the bucket up: it is not whole, or its sum says that something differs. */
  const lookAll = async () => {
    let named = 0
    for (let i = 0; i < entries; i += 1) {
      const at = i * entryWords
      const wanted = entryOf(words, at)
      const found = await lookUp(index, wanted.key, wanted.number).catch((error: unknown) => {
        tellIndexDamage(differs, error)
        return undefined
      })
      if (i % pacedLookUps === 0) await pace(0)
      if (found?.number === wanted.number && found.position === wanted.position) continue
      named += 1
      if (named <= namedAtOnceMax) differs(...wrongEntry(index, wanted, found?.position))
    }
    return named
  }
  const endBucket = async () => {
    if (added > 0) {
      const end = endOf(bucket)
      const isSummed = end <= parts.summedThrough
      const isWhole = isSummed && added === end - bucket * bucketPositions
      if (!isWhole) await lookAll()
      else if (!own.isEqual(bucket, sums) && (await lookAll()) === 0)
        differs(
          'index/manifest',
          0,
          bucket * bucketPositions,
          `the runs hold other entries than those of the events below position ${end}`,
        )
    }
    entries = 0
    added = 0
  }

  const comparePlaces = async () => {
    const lot = places
    places = []
    if (lot.length === 0) return
    const wrong = (position: number, flaw: string) =>
      differs(`index/${placesFile}`, placesHeadBytes + position * placeBytes, position, flaw)
    const read = async (some: typeof lot) => {
      const found = await index.places.read(some.map(({ position }) => position))
      for (const [i, { position, place }] of some.entries())
        if (!isSamePlace(found[i], place))
          wrong(position, 'it names another place than the one where the record stands')
    }
    try {
      await read(lot)
    } catch {
      // One that does not match its checksum hides the others.
      let named = 0
      for (const one of lot) {
        if (named > namedAtOnceMax) break
        await read([one]).catch((error: unknown) => {
          named += 1
          const toldAt: Tell = (file, offset, _, flaw) => differs(file, offset, one.position, flaw)
          tellIndexDamage(toldAt, error)
        })
      }
    }
    await pace(lot.length * placeBytes)
  }

  return {
    add(position, place, leaf) {
      if (position >= through) return
      bucket = Math.floor(position / bucketPositions)
      added += 1
      places.push({ position, place })
      if (leaf === null) return
      put(keys.ofId(leaf.id), 0, position)
      put(keys.ofStream(leaf.project, leaf.stream), Number(leaf.revision), position)
      put(keys.ofType(leaf.project, leaf.type), Number(leaf.type_seq), position)
    },
    get isDue() {
      const last = places.at(-1)
      return (
        last !== undefined && (places.length >= placesAtOnce || last.position + 1 === endOf(bucket))
      )
    },
    async settle() {
      const last = places.at(-1)?.position
      await comparePlaces()
      if (last !== undefined && last + 1 === endOf(bucket)) await endBucket()
    },
    async settleAll() {
      await comparePlaces()
      await endBucket()
    },
    async state() {
      await comparePlaces()
      return { seeds: [...parts.seeds], added, sum: own.of(bucket), agrees }
    },
    tiles: (write) => compareTiles(index, write, differs, pace),
    manifest: (mark, edges) => compareManifest(index, mark, edges, differs),
    get agrees() {
      return agrees
    },
  }
}

const entryOf = (words: Words, at: number): IndexEntry => ({
  key: words.slice(at, at + 4),
  number: numberAt(words, at),
  position: positionAt(words, at),
})

/** File, offset, position and flaw of an entry that is not what the journal says. */
function wrongEntry(
  { runs }: IndexOnDisk,
  { number, position }: IndexEntry,
  found: number | undefined,
): Parameters<Tell> {
  const run = runs.find(({ from, end }) => from <= position && position < end)
  const says = found === undefined ? 'has no entry for it' : `says position ${found}`
  return [
    `index/${run?.name ?? 'manifest'}`,
    0,
    position,
    `the index ${says} where the journal has an event with the number ${number} at position ${position}`,
  ]
}

const isSamePlace = (a: MarkedPlace | undefined, b: MarkedPlace): boolean =>
  a !== undefined &&
  a.segment === b.segment &&
  a.offset === b.offset &&
  a.bytes === b.bytes &&
  a.raw === b.raw &&
  a.projectMark === b.projectMark &&
  a.categoryMark === b.categoryMark &&
  a.typeMark === b.typeMark

const hashBytes = 32
const tileFrameBytes = tileBytes + 16
const tileHeadBytes = 64

/** Compares full tiles with those that the leaves in the journal make. */
async function compareTiles(
  { tiles, edges }: IndexOnDisk,
  write: TreeWrite,
  tell: Tell,
  pace: Pace,
): Promise<void> {
  for (const [level, { first, tiles: made }] of write.tiles.entries()) {
    const full = edges[level]?.full ?? 0
    for (const [i, tile] of made.entries()) {
      const number = first + i
      if (number >= full) break
      try {
        const found = await tiles.read(level, number)
        const wrong = firstDifference(found, tile)
        if (wrong !== undefined)
          tell(
            `index/${tilesFile(level)}`,
            tileHeadBytes + number * tileFrameBytes + wrong * hashBytes,
            level === 0 ? number * 256 + wrong : null,
            `hash ${number * 256 + wrong} of level ${level} is not that of the leaves in the journal`,
          )
      } catch (error) {
        tellIndexDamage(tell, error)
      }
      await pace(tileFrameBytes)
    }
  }
}

/** Which hash of two tiles is the first that differs. */
function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  if (Buffer.compare(a, b) === 0) return undefined
  for (let at = 0; ; at += 1) if (a[at] !== b[at]) return Math.floor(at / hashBytes)
}

/** Compares everything that the manifest says of the journal at the position where it ends. */
function compareManifest(
  { manifest, edges }: IndexOnDisk,
  mark: KnownMark,
  made: readonly LevelEdge[],
  tell: Tell,
): void {
  const wrong = (flaw: string) => tell('index/manifest', 0, manifest.through, flaw)
  for (const [level, { full, hashes }] of made.entries())
    if (edges[level]?.full !== full || hexOf(edges[level].hashes) !== hexOf(hashes))
      wrong(`the right edge of level ${level} is not that of the leaves in the journal`)
  if (edges.length !== made.length) wrong(`it has ${edges.length} levels, not ${made.length}`)
  if (JSON.stringify(manifest.segments) !== JSON.stringify(mark.segments))
    wrong('it names other segments than those of the journal')
  if (
    manifest.group.offset !== mark.group.offset ||
    manifest.group.position !== mark.group.position
  )
    wrong('its last group does not stand there in the journal')
  if (mark.last_time_ms !== undefined && manifest.last_time_ms !== mark.last_time_ms)
    wrong('its ledger time is not that of the last event')
  if (mark.clock_alarm !== undefined && manifest.clock_alarm !== mark.clock_alarm)
    wrong('what it says of an alarm about the clock is not what the events say')
}
