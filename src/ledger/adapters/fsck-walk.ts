import { hexOf } from '../encoding.js'
import type { LedgerFile } from './file-port.js'
import type { Fold } from './fsck-fold.js'
import type { Pace, Tell } from '../fsck-report.js'
import type { JournalMark } from './index-flush.js'
import {
  decodeLeafPart,
  decodeRecordHeader,
  groupFrameBytes,
  isFlaw,
  recordHeaderBytes,
  segmentHeaderBytes,
} from './journal-format.js'
import { findFrame, recordsOf, type ScannedGroup, scanGroups } from './segment-scan.js'
import { originMarkOf, readSegmentHeader } from './segments.js'

/** Bytes of records that are checked before others may run. */
const sliceBytes = 64 * 1024

export interface WalkParts {
  readonly origin: string
  readonly fold: Fold
  readonly tell: Tell
  readonly pace: Pace
  /** The number that the index has for each segment. */
  readonly numberOf: (name: string, number: number) => number
  /** Leaves that are read at most: what stands behind them may be written at this moment. */
  readonly limit: number
  /** Told at the end of every group: segment, offset behind the group, and position there. */
  readonly onGroup: (segment: number, offset: number) => Promise<void> | undefined
}

export interface WalkedSegment {
  readonly file: LedgerFile
  readonly name: string
  readonly number: number
  readonly isLast: boolean
  /** Where the first group to be checked begins. */
  readonly from: number
}

/** The segments that were seen, as the manifest of an index names them. */
export type SeenSegments = { name: string; nonce: string; bytes: number }[]

/** Checks one segment; answers where a torn tail begins, or null. */
export async function checkSegment(
  parts: WalkParts,
  segment: WalkedSegment,
  seen: SeenSegments,
): Promise<number | null> {
  const { fold, tell } = parts
  const { file, name, isLast } = segment
  const header = await readSegmentHeader(file, name, originMarkOf(parts.origin))
  const firstPosition = Number(name.slice(0, 16))
  if (isFlaw(header)) {
    if (isLast && !fold.isCovered() && (await file.size()) <= segmentHeaderBytes) return 0
    tell(name, 0, firstPosition, `${header.flaw}: none of its groups can be read`)
    return null
  }
  const nonce = header.nonce
  seen.push({ name, nonce: hexOf(nonce), bytes: segment.from })
  if (segment.from === segmentHeaderBytes && firstPosition !== fold.next()) {
    tell(
      name,
      0,
      fold.next(),
      `the segment begins at position ${firstPosition}, ${fold.next()} is next`,
    )
    await fold.skipTo(firstPosition)
  }
  for (let from: number | undefined = segment.from; from !== undefined;) {
    const start: number = from
    from = undefined
    if (fold.next() >= parts.limit) return null
    for await (const group of scanGroups(file, nonce, start)) {
      if (isFlaw(group)) {
        from = await findFrame(file, nonce, group.offset + 1)
        if (from === undefined && isLast && !fold.isCovered()) return group.offset
        tell(name, group.offset, fold.next(), group.flaw)
        continue
      }
      const mayBeTorn = isLast && !fold.isCovered() && isFlaw(recordsOf(group))
      if (mayBeTorn && (await findFrame(file, nonce, group.offset + 1)) === undefined)
        return group.offset
      await checkGroup(parts, segment, group)
      await endGroup(parts, segment, group, seen)
      if (fold.next() >= parts.limit) return null
    }
  }
  return null
}

async function endGroup(
  { fold, onGroup }: WalkParts,
  { number }: WalkedSegment,
  { offset, bytes, frame }: ScannedGroup,
  seen: SeenSegments,
) {
  const end = offset + bytes.length
  const last = seen.at(-1)
  if (last !== undefined) last.bytes = end
  const mark = (): Pick<JournalMark, 'segments' | 'group'> => ({
    segments: seen,
    group: { offset, position: frame.firstPosition },
  })
  await fold.endGroup(mark)
  const waiting = onGroup(number, end)
  if (waiting !== undefined) await waiting
}

async function checkGroup(parts: WalkParts, { name, number }: WalkedSegment, group: ScannedGroup) {
  const { fold, tell, pace } = parts
  const { firstPosition, recordCount } = group.frame
  if (firstPosition !== fold.next()) {
    tell(
      name,
      group.offset,
      fold.next(),
      `the group begins at position ${firstPosition}, ${fold.next()} is next`,
    )
    await fold.skipTo(firstPosition)
  }
  const indexNumber = parts.numberOf(name, number)
  let paced = 0
  for (let at = groupFrameBytes; at < group.bytes.length;) {
    const offset = group.offset + at
    const position = fold.next()
    const part = decodeLeafPart(group.bytes, at)
    if (isFlaw(part)) {
      tell(name, offset, position, part.flaw)
      const lengths = decodeRecordHeader(group.bytes, at)
      // Without its lengths nobody can tell where the next record begins.
      if (isFlaw(lengths)) break
      await fold.skipTo(position + 1)
      at += recordHeaderBytes + lengths.leafBytes + lengths.payloadBytes
      continue
    }
    if (part.position !== position)
      tell(name, offset, position, `the record says position ${part.position}`)
    const place = { segment: name, number: indexNumber, offset, bytes: part.end - at }
    const block = group.bytes.subarray(part.payloadAt, part.end)
    await fold.add(place, { ...part, payloadAt: part.payloadAt - at }, block)
    at = part.end
    if (at - paced < sliceBytes) continue
    const waiting = pace(at - paced)
    paced = at
    if (waiting !== undefined) await waiting
  }
  const waiting = pace(group.bytes.length - paced)
  if (waiting !== undefined) await waiting
  if (fold.next() !== firstPosition + recordCount) {
    tell(name, group.offset, fold.next(), `the group should hold ${recordCount} records`)
    await fold.skipTo(firstPosition + recordCount)
  }
}
