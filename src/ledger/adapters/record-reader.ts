import { EvidenceError } from '../../contracts/errors.js'
import { utf8 } from '../encoding.js'
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

/** Copies the payload out of the read buffer, which other records share; what is hashed waits until it is asked for. */
function recordedEvent({ position, leaf, data, metadata }: JournalRecord): RecordedEvent {
  const leafText = leaf.toString('utf8')
  let leafHash: Uint8Array | undefined
  return {
    position,
    leaf: trustedLeaf(leafText),
    leafText,
    get leafHash() {
      return (leafHash ??= Uint8Array.from(leafHashOf(utf8(leafText))))
    },
    ...payloadOf(data, metadata),
  }
}

/** Both parts in memory of their own, together: one allocation costs less than four. */
function payloadOf(data: SaltedBytes | null, metadata: SaltedBytes | null) {
  const parts = [data?.bytes, data?.salt, metadata?.bytes, metadata?.salt]
  const memory = new Uint8Array(parts.reduce((sum, part) => sum + (part?.length ?? 0), 0))
  let at = 0
  const copy = (part: SaltedBytes | null): SaltedBytes | null => {
    if (part === null) return null
    const middle = at + part.bytes.length
    const end = middle + part.salt.length
    memory.set(part.bytes, at)
    memory.set(part.salt, middle)
    const copied = { bytes: memory.subarray(at, middle), salt: memory.subarray(middle, end) }
    at = end
    return copied
  }
  return { data: copy(data), metadata: copy(metadata) }
}
