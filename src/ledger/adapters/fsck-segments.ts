import { join } from 'node:path'
import { hexOf } from '../encoding.js'
import type { FilePort, LedgerFile } from './file-port.js'
import type { SeenSegments } from './fsck-walk.js'
import {
  decodeLeafPart,
  decodeSegmentHeader,
  groupFrameBytes,
  isFlaw,
  segmentHeaderBytes,
} from './journal-format.js'
import { leafHashOf, trustedLeaf } from './recovery.js'
import { scanGroups } from './segment-scan.js'
import { segmentNames, segmentsFolder } from './segments.js'

/** The segments of a journal, open to be checked. */
export interface SegmentFiles {
  readonly names: readonly string[]
  open(number: number): Promise<LedgerFile>
  fileOf(name: string): Promise<LedgerFile | undefined>
  /** Bytes of the segments before this one, as they were when they were opened. */
  bytesBefore(number: number): number
  /** What a manifest says of the segments before this one. */
  seenBefore(number: number): SeenSegments
  close(): Promise<void>
}

export async function openSegmentFiles(files: FilePort, folder: string): Promise<SegmentFiles> {
  const names = await segmentNames(files, folder)
  const opened: LedgerFile[] = []
  const starts = [0]
  const headers: SeenSegments = []
  const close = async () => {
    for (const file of opened) await file.close()
  }
  try {
    for (const name of names) {
      const file = await files.open(join(segmentsFolder(folder), name), 'read')
      opened.push(file)
      const bytes = await file.size()
      starts.push((starts.at(-1) ?? 0) + bytes)
      const head = Buffer.alloc(segmentHeaderBytes)
      const header = decodeSegmentHeader(head.subarray(0, await file.read(head, 0)))
      headers.push({ name, nonce: isFlaw(header) ? '' : hexOf(header.nonce), bytes })
    }
  } catch (error) {
    await close()
    throw error
  }
  const open = async (number: number) => {
    const file = opened[number]
    if (file === undefined) throw new RangeError(`there is no segment ${number}`)
    return file
  }
  return {
    names,
    open,
    fileOf: async (name) => opened[names.indexOf(name)],
    bytesBefore: (number) => starts[number] ?? starts.at(-1) ?? 0,
    seenBefore: (number) => headers.slice(0, number).map((header) => ({ ...header })),
    close,
  }
}

/** The events at positions [from, to), which were checked before: only what a map of heads needs of them. */
export async function* leavesBetween(segments: SegmentFiles, from: number, to: number) {
  for (const [number, name] of segments.names.entries()) {
    const next = segments.names[number + 1]
    if (next !== undefined && Number(next.slice(0, 16)) <= from) continue
    if (Number(name.slice(0, 16)) >= to) return
    const file = await segments.open(number)
    const head = Buffer.alloc(segmentHeaderBytes)
    const header = decodeSegmentHeader(head.subarray(0, await file.read(head, 0)))
    if (isFlaw(header)) return
    for await (const group of scanGroups(file, header.nonce)) {
      if (isFlaw(group) || group.frame.firstPosition >= to) return
      if (group.frame.firstPosition + group.frame.recordCount <= from) continue
      for (let at = groupFrameBytes; at < group.bytes.length;) {
        const part = decodeLeafPart(group.bytes, at)
        if (isFlaw(part)) return
        at = part.end
        if (part.raw || part.position < from || part.position >= to) continue
        yield {
          position: part.position,
          leaf: trustedLeaf(part.leaf.toString('utf8')),
          leafHash: leafHashOf(part.leaf),
        }
      }
    }
  }
}
