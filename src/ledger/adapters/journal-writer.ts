import { appendDurably, type FilePort, NotDurable } from './file-port.js'
import {
  encodeGroupFrame,
  encodeRecord,
  groupFrameBytes,
  recordBytes,
  segmentHeaderBytes,
} from './journal-format.js'
import type { Place } from './journal-index.js'
import { createSegment, type Segment } from './segments.js'
import type { SequencedEvent } from './sequencer.js'

export const segmentBytesMax = 256 * 1024 * 1024

/** Appends groups at the end of the journal, one write and one sync each. Never two at a time. */
export interface JournalWriter {
  readonly segments: readonly Segment[]
  /** Resolves with the places of the records once they are durable. @throws NotDurable. */
  write(events: readonly SequencedEvent[]): Promise<readonly Place[]>
}

export function createJournalWriter(options: {
  readonly files: FilePort
  readonly folder: string
  readonly origin: string
  readonly segments: Segment[]
  readonly end: number
  readonly segmentBytesMax: number
}): JournalWriter {
  const { segments } = options
  let end = options.end

  const segmentFor = async (firstPosition: number): Promise<Segment> => {
    const last = segments.at(-1)
    if (last !== undefined && (end === segmentHeaderBytes || end < options.segmentBytesMax))
      return last
    const next = await createSegment(
      options.files,
      options.folder,
      options.origin,
      segments.length,
      firstPosition,
    ).catch((cause: unknown) => {
      throw new NotDurable('write', true, cause)
    })
    segments.push(next)
    end = segmentHeaderBytes
    return next
  }

  return {
    segments,
    async write(events) {
      const segment = await segmentFor(events[0]?.position ?? 0)
      const { group, places } = encodeGroup(events, segment, end)
      // If we stop here, the next start finds the whole group or a torn one; nobody was answered.
      await appendDurably(segment.file, group, end)
      end += group.length
      return places
    },
  }
}

function encodeGroup(events: readonly SequencedEvent[], segment: Segment, offset: number) {
  const contents = events.map(({ position, leafBytes, prepared }) => ({
    position,
    leaf: leafBytes,
    data: { bytes: prepared.draft.data, salt: prepared.dataSalt },
    metadata: { bytes: prepared.draft.metadata, salt: prepared.metadataSalt },
  }))
  const bytes = contents.reduce((sum, content) => sum + recordBytes(content), 0)
  const group = Buffer.allocUnsafe(groupFrameBytes + bytes)
  const frame = { firstPosition: events[0]?.position ?? 0, recordCount: events.length, bytes }
  encodeGroupFrame(group, frame, segment.header.nonce, offset)
  const places: Place[] = []
  let at = groupFrameBytes
  for (const content of contents) {
    const next = encodeRecord(group, at, content)
    places.push({ segment: segment.number, offset: offset + at, bytes: next - at })
    at = next
  }
  return { group, places }
}
