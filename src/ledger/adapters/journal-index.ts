import type { LogFilter } from '../event-store.js'
import { numberList } from './growing-list.js'

/** Where a record stands: the number of its segment, and its place and length there. */
export interface Place {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
}

export interface IndexedEvent extends Place {
  readonly id: string
  readonly project: string
  readonly stream: string
  readonly type: string
}

/**
 * What the engine must find without reading the journal. It holds only durable events and can be
 * rebuilt from the journal at any time; this one lives in memory.
 */
export interface JournalIndex {
  readonly size: number
  /** Adds the event at position `size`. */
  add(event: IndexedEvent): void
  /** Adds a raw leaf at position `size`: it has a place and is no event. */
  addRaw(place: Place): void
  isRaw(position: number): boolean
  /** How many raw leaves there are among the positions. */
  readonly rawSize: number
  positionOf(id: string): number | undefined
  placeOf(position: number): Place
  /** Number of events of the stream: its next revision. */
  streamSize(project: string, stream: string): number
  streamPosition(project: string, stream: string, revision: number): number
  /** Number of events of the type: its next `type_seq`. */
  typeSize(project: string, type: string): number
  /** Tells of each position whether it is an event that the filter wants. */
  matcher(filter: LogFilter): (position: number) => boolean
}

/** Stands for the stream and the type of a raw leaf. */
const noName = 0xffff_ffff

interface Name {
  readonly number: number
  readonly project: string
  readonly name: string
}

/** Gives each (project, name) a small number; neither holds a control character, so the key is unique. */
function nameTable() {
  const numbers = new Map<string, number>()
  const names: Name[] = []
  return {
    names,
    find: (project: string, name: string) => numbers.get(`${project}\n${name}`),
    numberOf(project: string, name: string) {
      const key = `${project}\n${name}`
      const known = numbers.get(key)
      if (known !== undefined) return known
      numbers.set(key, names.length)
      names.push({ number: names.length, project, name })
      return names.length - 1
    },
  }
}

export function createMemoryIndex(): JournalIndex {
  // A Map ends at 2^24 entries: an index on disk takes this place before a ledger grows so large.
  const positions = new Map<string, number>()
  const segments = numberList()
  const offsets = numberList()
  const lengths = numberList()
  const streamNumbers = numberList()
  const typeNumbers = numberList()
  const streams = nameTable()
  const types = nameTable()
  const streamPositions: number[][] = []
  const typeSizes: number[] = []
  let rawSize = 0

  const addPlace = ({ segment, offset, bytes }: Place, stream: number, type: number) => {
    segments.push(segment)
    lengths.push(bytes)
    streamNumbers.push(stream)
    typeNumbers.push(type)
    offsets.push(offset)
  }

  return {
    get size() {
      return offsets.length
    },
    add(event) {
      const stream = streams.numberOf(event.project, event.stream)
      const type = types.numberOf(event.project, event.type)
      positions.set(event.id, offsets.length)
      ;(streamPositions[stream] ??= []).push(offsets.length)
      typeSizes[type] = (typeSizes[type] ?? 0) + 1
      addPlace(event, stream, type)
    },
    addRaw(place) {
      addPlace(place, noName, noName)
      rawSize += 1
    },
    isRaw: (position) => streamNumbers.at(position) === noName,
    get rawSize() {
      return rawSize
    },
    positionOf: (id) => positions.get(id),
    placeOf: (position) => ({
      segment: segments.at(position),
      offset: offsets.at(position),
      bytes: lengths.at(position),
    }),
    streamSize(project, stream) {
      const number = streams.find(project, stream)
      return number === undefined ? 0 : (streamPositions[number]?.length ?? 0)
    },
    streamPosition(project, stream, revision) {
      const number = streams.find(project, stream)
      const position = number === undefined ? undefined : streamPositions[number]?.[revision]
      if (position === undefined)
        throw new RangeError(`the stream ${stream} has no revision ${revision}`)
      return position
    },
    typeSize(project, type) {
      const number = types.find(project, type)
      return number === undefined ? 0 : (typeSizes[number] ?? 0)
    },
    matcher({ project, streamPrefixes, types: wantedTypes }) {
      // Judged once per stream and once per type, then only looked up.
      const wantsStream = remembered(
        streams.names,
        ({ project: own, name }) =>
          (project === undefined || own === project) &&
          (streamPrefixes === undefined ||
            streamPrefixes.some((prefix) => name.startsWith(prefix))),
      )
      const wantsType = remembered(
        types.names,
        ({ name }) => wantedTypes === undefined || wantedTypes.includes(name),
      )
      return (position) => {
        const stream = streamNumbers.at(position)
        return stream !== noName && wantsStream(stream) && wantsType(typeNumbers.at(position))
      }
    },
  }
}

function remembered(
  names: readonly Name[],
  judge: (name: Name) => boolean,
): (number: number) => boolean {
  const judged: boolean[] = []
  return (number) => {
    const known = judged[number]
    if (known !== undefined) return known
    const name = names[number]
    return (judged[number] = name !== undefined && judge(name))
  }
}
