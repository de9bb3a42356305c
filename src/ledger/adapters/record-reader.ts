import { EvidenceError } from '../../contracts/errors.js'
import type { RecordedEvent, SaltedBytes } from '../event-store.js'
import { decodeRecord, isFlaw, type JournalRecord } from './journal-format.js'
import type { JournalIndex } from './journal-index.js'
import type { Place } from './place-list.js'
import { leafHashOf, trustedLeaf } from './recovery.js'
import { damaged, type Segment } from './segments.js'

const runBytesMax = 1024 * 1024

/** Reads records from disk; checks every checksum and that it found the position it looked for. */
export interface RecordReader {
  read(position: number): Promise<RecordedEvent>
  /** Reads positions in the order given; neighbours that stand together are read at once. */
  readMany(positions: readonly number[]): Promise<readonly RecordedEvent[]>
}

export function createRecordReader(
  index: JournalIndex,
  segments: readonly Segment[],
): RecordReader {
  const readRun = async (
    positions: readonly number[],
    places: readonly Place[],
  ): Promise<RecordedEvent[]> => {
    const start = Math.min(...places.map(({ offset }) => offset))
    const end = Math.max(...places.map(({ offset, bytes }) => offset + bytes))
    const segment = segments[places[0]?.segment ?? -1]
    if (segment === undefined) throw new RangeError('a position lies in no segment')
    const bytes = Buffer.allocUnsafe(end - start)
    const got = await segment.file.read(bytes, start)
    return positions.map((position, i) => {
      const offset = places[i]?.offset ?? 0
      const record = decodeRecord(bytes.subarray(0, got), offset - start)
      if (isFlaw(record)) throw damaged(segment.name, offset, record.flaw, { position })
      if (record.position !== position)
        throw damaged(
          segment.name,
          offset,
          `position ${record.position} stands where ${position} should`,
        )
      return recordedEvent(record)
    })
  }

  const readMany = async (positions: readonly number[]): Promise<readonly RecordedEvent[]> => {
    const events: RecordedEvent[] = []
    const places = await index.placesOf(positions)
    for (let from = 0; from < positions.length;) {
      const run: Place[] = []
      for (const place of places.slice(from)) {
        if (place.raw) throw rawLeaf(positions[from + run.length])
        if (run.length > 0 && !extendsRun(run, place)) break
        run.push(place)
      }
      events.push(...(await readRun(positions.slice(from, from + run.length), run)))
      from += run.length
    }
    return events
  }

  return {
    readMany,
    async read(position) {
      const [event] = await readMany([position])
      if (event === undefined)
        throw new EvidenceError('EVENT_NOT_FOUND', `there is no position ${position}`)
      return event
    },
  }
}

const rawLeaf = (position: number | undefined) =>
  new EvidenceError('EVENT_NOT_FOUND', `a leaf that is no event stands at position ${position}`)

/** Whether reading this place together with the run wastes little: same segment, near, not too much. */
function extendsRun(run: readonly Place[], place: Place): boolean {
  const first = run[0] ?? place
  const start = Math.min(first.offset, place.offset)
  const end = Math.max(first.offset + first.bytes, place.offset + place.bytes)
  return first.segment === place.segment && end - start <= runBytesMax
}

/** Copies the payload out of the read buffer, which other records share. */
function recordedEvent({ position, leaf, data, metadata }: JournalRecord): RecordedEvent {
  const leafText = leaf.toString('utf8')
  const copy = (part: SaltedBytes | null) =>
    part === null ? null : { bytes: Uint8Array.from(part.bytes), salt: Uint8Array.from(part.salt) }
  return {
    position,
    leaf: trustedLeaf(leafText),
    leafText,
    leafHash: Uint8Array.from(leafHashOf(leaf)),
    data: copy(data),
    metadata: copy(metadata),
  }
}
