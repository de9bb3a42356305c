import type { LedgerFile } from './file-port.js'
import {
  decodeGroupFrame,
  decodeRecord,
  type Flaw,
  type GroupFrame,
  groupFrameBytes,
  groupMagic,
  isFlaw,
  type JournalRecord,
  segmentHeaderBytes,
} from './journal-format.js'

const windowBytes = 4 * 1024 * 1024

/** Reads a file front to back through one window; the views it answers are valid until the next call. */
export function openWindow(file: LedgerFile) {
  let buffer = Buffer.alloc(0)
  let start = 0
  return async (offset: number, bytes: number): Promise<Buffer> => {
    if (offset < start || offset + bytes > start + buffer.length) {
      const left = Math.max(0, (await file.size()) - offset)
      const next = Buffer.allocUnsafe(Math.min(left, Math.max(bytes, windowBytes)))
      start = offset
      buffer = next.subarray(0, await file.read(next, offset))
    }
    return buffer.subarray(offset - start, Math.min(offset - start + bytes, buffer.length))
  }
}

export interface ScannedGroup {
  readonly offset: number
  readonly frame: GroupFrame
  /** The bytes of the whole group with its frame; a view. */
  readonly bytes: Buffer
}

/** A place of a segment that is not what it should be. */
export interface FlawAt extends Flaw {
  readonly offset: number
}

/**
 * Yields the groups of a segment in order, frame checked and complete, records not yet looked at.
 * Ends at the end of the file or yields one flaw and ends.
 */
export async function* scanGroups(
  file: LedgerFile,
  nonce: Uint8Array,
  from = segmentHeaderBytes,
): AsyncGenerator<ScannedGroup | FlawAt> {
  const window = openWindow(file)
  for (let offset = from; ;) {
    const head = await window(offset, groupFrameBytes)
    if (head.length === 0) return
    const frame = decodeGroupFrame(head, nonce, offset)
    if (isFlaw(frame)) {
      yield { ...frame, offset }
      return
    }
    const bytes = await window(offset, groupFrameBytes + frame.bytes)
    if (bytes.length < groupFrameBytes + frame.bytes) {
      yield { flaw: 'the group is cut off', part: 'frame', offset }
      return
    }
    yield { offset, frame, bytes }
    offset += groupFrameBytes + frame.bytes
  }
}

export interface PlacedRecord extends JournalRecord {
  readonly offset: number
}

/** The records of a group, or its first flaw. */
export function recordsOf(group: ScannedGroup): readonly PlacedRecord[] | FlawAt {
  const records: PlacedRecord[] = []
  let at = groupFrameBytes
  while (at < group.bytes.length) {
    const record = decodeRecord(group.bytes, at)
    if (isFlaw(record)) return { ...record, offset: group.offset + at }
    if (record.position !== group.frame.firstPosition + records.length) {
      return {
        flaw: `the record says position ${record.position}`,
        part: 'leaf',
        offset: group.offset + at,
      }
    }
    records.push({ ...record, offset: group.offset + at })
    at += record.bytes
  }
  return records.length === group.frame.recordCount
    ? records
    : {
        flaw: `the group holds ${records.length} of ${group.frame.recordCount} records`,
        part: 'frame',
        offset: group.offset,
      }
}

/** Where the next group with a sound frame begins, at or behind `from`; undefined when there is none. */
export async function findFrame(
  file: LedgerFile,
  nonce: Uint8Array,
  from: number,
): Promise<number | undefined> {
  const window = openWindow(file)
  for (let offset = from; ; offset += windowBytes - groupFrameBytes) {
    const bytes = await window(offset, windowBytes)
    if (bytes.length < groupFrameBytes) return undefined
    for (let at = bytes.indexOf(groupMagic); at !== -1; at = bytes.indexOf(groupMagic, at + 1)) {
      const frame = bytes.subarray(at, at + groupFrameBytes)
      if (frame.length === groupFrameBytes && !isFlaw(decodeGroupFrame(frame, nonce, offset + at)))
        return offset + at
    }
    if (bytes.length < windowBytes) return undefined
  }
}
