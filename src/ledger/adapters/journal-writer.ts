import { appendDurably, type FilePort, NotDurable } from './file-port.js'
import { bufferOf, type LaidGroup, leavesIn, recordAt } from './group-bytes.js'
import type { JournalMark } from './index-flush.js'
import { encodeGroupFrame, groupFrameBytes, segmentHeaderBytes } from './journal-format.js'
import type { Place } from './place-list.js'
import { markOf } from './recovery.js'
import { createSegment, type Segment } from './segments.js'

export const segmentBytesMax = 256 * 1024 * 1024

/** Appends groups at the end of the journal, one write and one sync each. Never two at a time. */
export interface JournalWriter {
  readonly segments: readonly Segment[]
  /** Resolves once the group is durable with where its records stand. @throws NotDurable. */
  write(group: LaidGroup): Promise<(leaf: number) => Place>
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
  readonly segmentBytes: number
}): JournalWriter {
  const { segments, ends } = options
  let group = options.group
  let end = ends.at(-1) ?? 0

  const segmentFor = async (firstPosition: number): Promise<Segment> => {
    const last = segments.at(-1)
    if (last !== undefined && (end === segmentHeaderBytes || end < options.segmentBytes))
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
    async write(laid) {
      const { firstPosition } = laid
      const segment = await segmentFor(firstPosition)
      const offset = end
      const bytes = bufferOf(laid.bytes)
      const records = bytes.length - groupFrameBytes
      const frame = { firstPosition, recordCount: leavesIn(laid), bytes: records }
      encodeGroupFrame(bytes, frame, segment.header.nonce, offset)
      // If we stop here, the next start finds the whole group or a torn one; nobody was answered.
      await appendDurably(segment.file, bytes, offset)
      group = { offset, position: firstPosition }
      end += bytes.length
      ends[segment.number] = end
      return (leaf) => ({
        segment: segment.number,
        offset: offset + recordAt(laid, leaf),
        bytes: recordAt(laid, leaf + 1) - recordAt(laid, leaf),
      })
    },
    mark: (clock) => markOf(segments, ends, group, clock),
  }
}
