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
import type { Place } from './journal-index.js'
import { createSegment, type Segment } from './segments.js'
import type { SequencedEvent, SequencedLeaf } from './sequencer.js'

export const segmentBytesMax = 256 * 1024 * 1024

/** Appends groups at the end of the journal, one write and one sync each. Never two at a time. */
export interface JournalWriter {
  readonly segments: readonly Segment[]
  /** Resolves with the places of the records once they are durable. @throws NotDurable. */
  write(leaves: readonly SequencedLeaf[]): Promise<readonly Place[]>
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
    async write(leaves) {
      const segment = await segmentFor(leaves[0]?.position ?? 0)
      const { group, places } = encodeGroup(leaves, segment, end)
      // If we stop here, the next start finds the whole group or a torn one; nobody was answered.
      await appendDurably(segment.file, group, end)
      end += group.length
      return places
    },
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
  return { group, places }
}
