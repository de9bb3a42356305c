import { appendDurably, type FilePort, NotDurable } from './file-port.js'
import {
  encodeGroupFrame,
  encodeRawRecord,
  encodeRecord,
  groupFrameBytes,
  rawRecordBytes,
  recordBytes,
  segmentHeaderBytes,
} from './journal-format.js'
import type { JournalMark } from './index-flush.js'
import type { Place } from './place-list.js'
import { markOf } from './recovery.js'
import { createSegment, type Segment } from './segments.js'
import type { SequencedEvent, SequencedLeaf } from './sequencer.js'

export const segmentBytesMax = 256 * 1024 * 1024

/** Appends groups at the end of the journal, one write and one sync each. Never two at a time. */
export interface JournalWriter {
  readonly segments: readonly Segment[]
  /** Resolves with the places of the records once they are durable. @throws NotDurable. */
  write(leaves: readonly SequencedLeaf[]): Promise<readonly Place[]>
  /** Where the journal stands behind the last group. */
  mark(clock: { readonly lastTimeMs: number; readonly clockAlarm: boolean }): JournalMark
}

export function createJournalWriter(options: {
  readonly files: FilePort
  readonly folder: string
  readonly origin: string
  readonly segments: Segment[]
  /** Where each segment ends. */
  readonly ends: number[]
  readonly group: JournalMark['group']
  readonly segmentBytesMax: number
}): JournalWriter {
  const { segments, ends } = options
  let group = options.group
  let end = ends.at(-1) ?? 0

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
    ends.push(end)
    return next
  }

  return {
    segments,
    async write(leaves) {
      const first = leaves[0]?.position ?? 0
      const segment = await segmentFor(first)
      const { bytes, places } = encodeGroup(leaves, segment, end)
      // If we stop here, the next start finds the whole group or a torn one; nobody was answered.
      await appendDurably(segment.file, bytes, end)
      group = { offset: end, position: first }
      end += bytes.length
      ends[segment.number] = end
      return places
    },
    mark: (clock) => markOf(segments, ends, group, clock),
  }
}

/** The content of the record of an event. */
const contentOf = ({ position, leafBytes, prepared }: SequencedEvent) => ({
  position,
  leaf: leafBytes,
  data: { bytes: prepared.draft.data, salt: prepared.dataSalt },
  metadata: { bytes: prepared.draft.metadata, salt: prepared.metadataSalt },
})

const bytesOf = (leaf: SequencedLeaf): number =>
  'leaf' in leaf ? recordBytes(contentOf(leaf)) : rawRecordBytes(leaf.leafBytes)

function encodeGroup(leaves: readonly SequencedLeaf[], segment: Segment, offset: number) {
  const bytes = leaves.reduce((sum, leaf) => sum + bytesOf(leaf), 0)
  const group = Buffer.allocUnsafe(groupFrameBytes + bytes)
  const frame = { firstPosition: leaves[0]?.position ?? 0, recordCount: leaves.length, bytes }
  encodeGroupFrame(group, frame, segment.header.nonce, offset)
  const places: Place[] = []
  let at = groupFrameBytes
  for (const leaf of leaves) {
    const next =
      'leaf' in leaf
        ? encodeRecord(group, at, contentOf(leaf))
        : encodeRawRecord(group, at, { position: leaf.position, leaf: leaf.leafBytes })
    places.push({ segment: segment.number, offset: offset + at, bytes: next - at })
    at = next
  }
  return { bytes: group, places }
}
