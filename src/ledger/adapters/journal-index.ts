import { boundedCache } from './bounded-cache.js'
import { createIndexKeys, type IndexKeys } from './index-keys.js'
import type { RunSet, Soon } from './index-runs.js'
import type { MarkedPlace, Place } from './place-list.js'
import {
  createRecentEvents,
  type IndexedNames,
  nameKey,
  type RecentEvents,
} from './recent-events.js'
import type { TreeHashes } from './tree-hashes.js'

/** Streams and types whose end is kept in memory. */
const streamHeadsMax = 65_536
const typeSizesMax = 16_384
const beyondAll = 2 ** 47

/** The end of a stream: how many events it has, and the leaf hash of the last in hex. */
export interface StreamHead {
  readonly size: number
  readonly prev: string | null
}

/**
 * What the engine must find without reading the journal. It holds only durable events and can be
 * rebuilt from the journal at any time: the latest events in memory, the others on disk. What is
 * answered at once needs no waiting; a promise means that the disk is read.
 *
 * @throws EvidenceError INDEX_DAMAGED from every question that reads the disk.
 */
export interface JournalIndex {
  readonly size: number
  /** Adds the event at position `size`; `leafHash` in hex. */
  add(place: Place, names: IndexedNames, revision: number, typeSeq: number, leafHash: string): void
  /** Adds a leaf that is none of our events at position `size`: it has a place and nothing else. */
  addRaw(place: Place): void
  positionOf(id: string): Soon<number | undefined>
  headOf(project: string, stream: string): Soon<StreamHead>
  /** Number of events of the stream: its next revision. */
  streamSize(project: string, stream: string): Soon<number>
  /** @throws RangeError when the stream has no such revision. */
  streamPosition(project: string, stream: string, revision: number): Soon<number>
  /** Number of events of the type: its next `type_seq`. */
  typeSize(project: string, type: string): Soon<number>
  /** @throws RangeError when the type has no such event. */
  typePosition(project: string, type: string, typeSeq: number): Soon<number>
  /** Places of positions below `size`, best in order. */
  placesOf(positions: readonly number[]): Promise<readonly MarkedPlace[]>
}

/** Where an index keeps what is not recent. */
export interface IndexParts {
  readonly keys: IndexKeys
  readonly runs: Pick<RunSet, 'floor'> & { readonly isEmpty: () => boolean }
  /** Written out below `from` of the oldest recent events. */
  readonly readPlaces: (positions: readonly number[]) => Promise<readonly MarkedPlace[]>
  /** Newest first; the newest takes what is added. */
  readonly recent: () => readonly RecentEvents[]
  readonly tree: Pick<TreeHashes, 'leaf'>
}

const then = <Value, Other>(value: Soon<Value>, map: (value: Value) => Soon<Other>): Soon<Other> =>
  value instanceof Promise ? value.then(map) : map(value)

export function createJournalIndex(parts: IndexParts): JournalIndex {
  const { keys, runs, tree } = parts
  const heads = boundedCache<string, StreamHead>(streamHeadsMax)
  const typeSizes = boundedCache<string, number>(typeSizesMax)
  const newest = () => {
    const events = parts.recent()[0]
    if (events === undefined) throw new RangeError('nothing takes what is added')
    return events
  }
  const sizeNow = () => newest().from + newest().count

  /** The last entry of a chain: in memory, or in the runs. */
  const lastOf = (
    kind: 'stream' | 'type',
    project: string,
    name: string,
  ): Soon<{ readonly number: number; readonly position: number } | undefined> => {
    const key = nameKey(project, name)
    for (const events of parts.recent()) {
      const chain = events[kind](key)
      const position = chain?.positions.at(-1)
      if (chain !== undefined && position !== undefined)
        return { number: chain.first + chain.positions.length - 1, position }
    }
    if (runs.isEmpty()) return undefined
    return runs.floor(keyOf(kind, project, name), beyondAll)
  }
  const keyOf = (kind: 'stream' | 'type', project: string, name: string) =>
    kind === 'stream' ? keys.ofStream(project, name) : keys.ofType(project, name)

  const positionIn = (
    kind: 'stream' | 'type',
    project: string,
    name: string,
    number: number,
  ): Soon<number> => {
    const missing = () => new RangeError(`the ${kind} ${name} has no event ${number}`)
    const key = nameKey(project, name)
    for (const events of parts.recent()) {
      const chain = events[kind](key)
      if (chain === undefined || number < chain.first) continue
      const position = chain.positions[number - chain.first]
      if (position === undefined) throw missing()
      return position
    }
    return then(runs.floor(keyOf(kind, project, name), number), (found) => {
      if (found?.number !== number) throw missing()
      return found.position
    })
  }

  return {
    get size() {
      return sizeNow()
    },
    add(place, names, revision, typeSeq, leafHash) {
      newest().add(place, names, revision, typeSeq)
      heads.set(names.streamKey, { size: revision + 1, prev: leafHash })
      typeSizes.set(names.typeKey, typeSeq + 1)
    },
    addRaw: (place) => newest().addRaw(place),
    positionOf(id) {
      const key = keys.ofId(id)
      for (const events of parts.recent()) {
        const position = events.positionOf(key)
        if (position !== undefined) return position
      }
      if (runs.isEmpty()) return undefined
      return then(runs.floor(key, 0), (found) => found?.position)
    },
    headOf(project, stream) {
      const name = nameKey(project, stream)
      const known = heads.get(name)
      if (known !== undefined) return known
      return then(lastOf('stream', project, stream), (last): Soon<StreamHead> => {
        if (last === undefined) return { size: 0, prev: null }
        return then(tree.leaf(last.position), (leafHash) => {
          const head = { size: last.number + 1, prev: Buffer.from(leafHash).toString('hex') }
          // While the disk was read the stream may have grown: what was added since is newer.
          return heads.get(name) ?? (heads.set(name, head), head)
        })
      })
    },
    streamSize: (project, stream) => {
      const known = heads.get(nameKey(project, stream))
      if (known !== undefined) return known.size
      return then(lastOf('stream', project, stream), (last) => (last?.number ?? -1) + 1)
    },
    streamPosition: (project, stream, revision) => positionIn('stream', project, stream, revision),
    typeSize: (project, type) => {
      const known = typeSizes.get(nameKey(project, type))
      if (known !== undefined) return known
      return then(lastOf('type', project, type), (last) => (last?.number ?? -1) + 1)
    },
    typePosition: (project, type, typeSeq) => positionIn('type', project, type, typeSeq),
    async placesOf(positions) {
      const recent = parts.recent()
      const from = recent.at(-1)?.from ?? 0
      const old = await parts.readPlaces(positions.filter((position) => position < from))
      let next = 0
      return positions.map((position) => {
        if (position >= sizeNow()) throw new RangeError(`there is no position ${position}`)
        const place =
          position < from
            ? old[next++]
            : recent.find((events) => events.from <= position)?.placeOf(position)
        if (place === undefined) throw new RangeError(`there is no place of position ${position}`)
        return place
      })
    },
  }
}

/** An index that holds everything in memory: for a ledger that is only looked at and has none on disk. */
export function createMemoryIndex(tree: Pick<TreeHashes, 'leaf'>): JournalIndex {
  const keys = createIndexKeys(new Uint8Array(32))
  const recent = [createRecentEvents(0, keys)]
  return createJournalIndex({
    keys,
    runs: { floor: () => undefined, isEmpty: () => true },
    readPlaces: async () => [],
    recent: () => recent,
    tree,
  })
}
