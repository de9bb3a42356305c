import { setImmediate as nextTurn } from 'node:timers/promises'
import type { IndexKey, IndexKeys } from './index-keys.js'
import { compareEntries, entryWords, setEntry, type Words } from './index-page.js'
import { decodePlace, encodePlace, type MarkedPlace, placeBytes, sealPlace } from './place-list.js'

/** The positions of the events of one stream or type, in order; the first has the number `first`. */
interface Chain {
  readonly first: number
  readonly positions: number[]
  readonly project: string
  readonly name: string
}

export interface ChainEvent {
  readonly id: string
  readonly project: string
  readonly stream: string
  readonly revision: number
  readonly type: string
  readonly typeSeq: number
}

/** What the index knows of the latest events, in memory until it is written as a run. */
export interface RecentEvents {
  /** Position of the first event here. */
  readonly from: number
  readonly count: number
  add(place: MarkedPlace, event: ChainEvent | null): void
  positionOf(id: string): number | undefined
  stream(project: string, stream: string): Chain | undefined
  type(project: string, type: string): Chain | undefined
  placeOf(position: number): MarkedPlace
  /** Bytes of all places with their checksums. */
  sealedPlaces(): Uint8Array
  /** All entries in their order, and how many different keys they have. Lets others run in between. */
  sorted(keys: IndexKeys): Promise<{ readonly words: Words; readonly keys: number }>
}

/** Neither a project nor a name holds a control character, so the key is unique. */
export const nameKey = (project: string, name: string): string => `${project}\n${name}`

export function createRecentEvents(from: number): RecentEvents {
  const ids = new Map<string, number>()
  const streams = new Map<string, Chain>()
  const types = new Map<string, Chain>()
  let places = Buffer.alloc(256 * placeBytes)
  let count = 0

  const link = (
    chains: Map<string, Chain>,
    project: string,
    name: string,
    number: number,
    position: number,
  ) => {
    const key = nameKey(project, name)
    const chain = chains.get(key)
    if (chain === undefined)
      chains.set(key, { first: number, positions: [position], project, name })
    else chain.positions.push(position)
  }

  return {
    from,
    get count() {
      return count
    },
    add(place, event) {
      const position = from + count
      if ((count + 1) * placeBytes > places.length) {
        const grown = Buffer.alloc(places.length * 2)
        grown.set(places)
        places = grown
      }
      encodePlace(places, count * placeBytes, place)
      count += 1
      if (event === null) return
      ids.set(event.id, position)
      link(streams, event.project, event.stream, event.revision, position)
      link(types, event.project, event.type, event.typeSeq, position)
    },
    positionOf: (id) => ids.get(id),
    stream: (project, stream) => streams.get(nameKey(project, stream)),
    type: (project, type) => types.get(nameKey(project, type)),
    placeOf: (position) => decodePlace(places, (position - from) * placeBytes),
    sealedPlaces() {
      for (let at = 0; at < count; at += 1) sealPlace(places, at * placeBytes, from + at)
      return places.subarray(0, count * placeBytes)
    },
    async sorted(keys) {
      const entries = ids.size + lengthOf(streams) + lengthOf(types)
      const words = new Uint32Array(entries * entryWords)
      let at = 0
      const put = (key: IndexKey, number: number, position: number) => {
        setEntry(words, at, key, number, position)
        at += entryWords
      }
      const pause = pauses()
      for (const [id, position] of ids) {
        put(keys.ofId(id), 0, position)
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

const buckets = 64

/**
 * Sorts entries, whose keys are spread evenly, in steps of a few milliseconds: first by the top bits
 * of the key, then each part natively by the next 40 bits with the place in the part behind them.
 */
async function sortEntries(words: Words): Promise<Words> {
  const parts: number[][] = Array.from({ length: buckets }, () => [])
  for (let at = 0; at < words.length; at += entryWords) parts[(words[at] ?? 0) >>> 26]?.push(at)
  const sorted = new Uint32Array(words.length)
  let to = 0
  for (const part of parts) {
    const order = new Float64Array(part.length)
    for (const [i, at] of part.entries()) {
      const prefix = ((words[at] ?? 0) & 0x3ffffff) * 32 + ((words[at + 1] ?? 0) >>> 27)
      order[i] = prefix * 0x400000 + i
    }
    order.sort()
    const from = to
    for (const value of order) {
      const at = part[value % 0x400000] ?? 0
      sorted.set(words.subarray(at, at + entryWords), to)
      to += entryWords
    }
    settleTies(sorted, from, to)
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
