import { setImmediate as nextTurn } from 'node:timers/promises'
import { categoryOf } from '../../contracts/identifiers.js'
import { createIdTable } from './id-table.js'
import type { IndexKey, IndexKeys } from './index-keys.js'
import { compareEntries, entryWords, setEntry, type Words } from './index-page.js'
import {
  decodePlace,
  encodePlace,
  type MarkedPlace,
  markOf,
  type Place,
  placeBytes,
  sealPlace,
} from './place-list.js'

/** The positions of the events of one stream or type, in order; the first has the number `first`. */
interface Chain {
  readonly first: number
  readonly positions: number[]
  readonly project: string
  readonly name: string
  /** What places of its events are marked with: the category of a stream, the type. */
  readonly mark: number
  readonly projectMark: number
}

/** The names of an event; `streamKey` and `typeKey` are its `nameKey`s. */
export interface IndexedNames {
  readonly id: string
  readonly project: string
  readonly stream: string
  readonly streamKey: string
  readonly type: string
  readonly typeKey: string
}

/** What the index knows of the latest events, in memory until it is written as a run. */
export interface RecentEvents {
  /** Position of the first event here. */
  readonly from: number
  readonly count: number
  add(place: Place, names: IndexedNames, revision: number, typeSeq: number): void
  addRaw(place: Place): void
  /** `id` is the key of the id. */
  positionOf(id: IndexKey): number | undefined
  /** By `nameKey`. */
  stream(key: string): Chain | undefined
  type(key: string): Chain | undefined
  placeOf(position: number): MarkedPlace
  /** Bytes of all places with their checksums. */
  places(): Uint8Array
  /** All entries in their order, and how many different keys they have. Lets others run in between. */
  sorted(): Promise<{ readonly words: Words; readonly keys: number }>
}

/** Neither a project nor a name holds a control character, so the key is unique. */
export const nameKey = (project: string, name: string): string => `${project}\n${name}`

export const namesOf = ({
  id,
  project,
  stream,
  type,
}: Pick<IndexedNames, 'id' | 'project' | 'stream' | 'type'>): IndexedNames => ({
  id,
  project,
  stream,
  streamKey: nameKey(project, stream),
  type,
  typeKey: nameKey(project, type),
})

export function createRecentEvents(from: number, keys: IndexKeys): RecentEvents {
  const ids = createIdTable()
  const streams = new Map<string, Chain>()
  const types = new Map<string, Chain>()
  let places = Buffer.alloc(256 * placeBytes)
  let count = 0

  const begin = (project: string, name: string, marked: string, first: number): Chain => ({
    first,
    positions: [],
    project,
    name,
    mark: markOf(marked),
    projectMark: markOf(project),
  })
  /** Makes room for one more place; `places` may be another buffer afterwards. */
  const nextPlace = (): number => {
    if ((count + 1) * placeBytes > places.length) {
      const grown = Buffer.alloc(places.length * 2)
      grown.set(places)
      places = grown
    }
    const at = count * placeBytes
    count += 1
    return at
  }

  return {
    from,
    get count() {
      return count
    },
    add(place, { id, project, stream, streamKey, type, typeKey }, revision, typeSeq) {
      const position = from + count
      let inStream = streams.get(streamKey)
      if (inStream === undefined)
        streams.set(streamKey, (inStream = begin(project, stream, categoryOf(stream), revision)))
      let ofType = types.get(typeKey)
      if (ofType === undefined) types.set(typeKey, (ofType = begin(project, type, type, typeSeq)))
      const marks = { project: ofType.projectMark, category: inStream.mark, type: ofType.mark }
      const at = nextPlace()
      encodePlace(places, at, place, marks)
      sealPlace(places, at, position)
      ids.add(keys.ofId(id), position - from)
      inStream.positions.push(position)
      ofType.positions.push(position)
    },
    addRaw(place) {
      const at = nextPlace()
      encodePlace(places, at, place, null)
      sealPlace(places, at, from + count - 1)
    },
    positionOf(id) {
      const at = ids.get(id)
      return at === undefined ? undefined : from + at
    },
    stream: (key) => streams.get(key),
    type: (key) => types.get(key),
    placeOf: (position) => decodePlace(places, (position - from) * placeBytes),
    places: () => places.subarray(0, count * placeBytes),
    async sorted() {
      const entries = ids.size + lengthOf(streams) + lengthOf(types)
      const words = new Uint32Array(entries * entryWords)
      let at = 0
      const put = (key: IndexKey, number: number, position: number) => {
        setEntry(words, at, key, number, position)
        at += entryWords
      }
      const pause = pauses()
      for (const [key, position] of ids.entries()) {
        put(key, 0, from + position)
        if (pause.isDue()) await nextTurn()
      }
      for (const [chains, keyOf] of [
        [streams, keys.ofStream],
        [types, keys.ofType],
      ] as const) {
        for (const { project, name, first, positions } of chains.values()) {
          const key = keyOf(project, name)
          positions.forEach((position, i) => put(key, first + i, position))
          if (pause.isDue()) await nextTurn()
        }
      }
      return { words: await sortEntries(words), keys: ids.size + streams.size + types.size }
    },
  }
}

const lengthOf = (chains: Map<string, Chain>): number => {
  let length = 0
  for (const { positions } of chains.values()) length += positions.length
  return length
}

const pauseEvery = 4_096
const pauses = () => {
  let steps = 0
  return { isDue: () => (steps = (steps + 1) % pauseEvery) === 0 }
}

const bucketBits = 6
const buckets = 2 ** bucketBits
/** Beside 31 bits of the key a number has room for so many entries. */
const sortedEntriesMax = 2 ** 22

/**
 * Sorts entries, whose keys are spread evenly, in steps of a few milliseconds: first by the top bits
 * of the key, then each part natively by the first 31 with the place of the entry behind them.
 */
async function sortEntries(words: Words): Promise<Words> {
  const entries = words.length / entryWords
  if (entries > sortedEntriesMax) throw new RangeError(`${entries} entries are too many to sort`)
  const bucketOf = (entry: number) => (words[entry * entryWords] ?? 0) >>> (32 - bucketBits)
  /** Where each bucket ends; counted first, then moved down to where it begins. */
  const ends = new Uint32Array(buckets)
  const move = (bucket: number, by: number): number => (ends[bucket] = (ends[bucket] ?? 0) + by)
  for (let entry = 0; entry < entries; entry += 1) move(bucketOf(entry), 1)
  for (let bucket = 1; bucket < buckets; bucket += 1) move(bucket, ends[bucket - 1] ?? 0)
  const order = new Float64Array(entries)
  const begins = ends
  for (let entry = entries - 1; entry >= 0; entry -= 1) {
    const key = (words[entry * entryWords] ?? 0) >>> 1
    order[move(bucketOf(entry), -1)] = key * sortedEntriesMax + entry
  }
  const sorted = new Uint32Array(words.length)
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const from = begins[bucket] ?? 0
    const end = begins[bucket + 1] ?? entries
    order.subarray(from, end).sort()
    for (let i = from; i < end; i += 1) {
      const at = ((order[i] ?? 0) % sortedEntriesMax) * entryWords
      for (let word = 0; word < entryWords; word += 1)
        sorted[i * entryWords + word] = words[at + word] ?? 0
    }
    settleTies(sorted, from * entryWords, end * entryWords)
    await nextTurn()
  }
  return sorted
}

/** Puts in order what the first bits of the key could not tell apart; nearly always nothing. */
function settleTies(words: Words, from: number, to: number) {
  for (let at = from + entryWords; at < to; at += entryWords) {
    for (let low = at; low > from; low -= entryWords) {
      if (compareEntries(words, low - entryWords, words, low) <= 0) break
      const moved = words.slice(low, low + entryWords)
      words.copyWithin(low, low - entryWords, low)
      words.set(moved, low - entryWords)
    }
  }
}
