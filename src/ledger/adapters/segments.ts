import { hash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import type { FilePort, LedgerFile } from './file-port.js'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  isFlaw,
  type Flaw,
  type SegmentHeader,
  segmentHeaderBytes,
} from './journal-format.js'

export interface Segment {
  readonly number: number
  readonly name: string
  readonly header: SegmentHeader
  readonly file: LedgerFile
}

const nameForm = /^[0-9]{16}\.journal$/
export const segmentsFolder = (folder: string): string => join(folder, 'journal')
export const segmentName = (firstPosition: number): string =>
  `${String(firstPosition).padStart(16, '0')}.journal`
export const originMarkOf = (origin: string): Uint8Array =>
  hash('sha256', origin, 'buffer').subarray(0, 16)

/** Names of the segment files in the order of their positions. */
export const segmentNames = async (files: FilePort, folder: string): Promise<readonly string[]> =>
  (await files.list(segmentsFolder(folder))).filter((name) => nameForm.test(name))

/** The error that names a damaged place. */
export const damaged = (
  segment: string,
  offset: number,
  flaw: string,
  details: Record<string, unknown> = {},
) =>
  new EvidenceError('JOURNAL_DAMAGED', `${segment} is damaged at offset ${offset}: ${flaw}`, {
    details: { segment, offset, flaw, ...details },
  })

/** Reads the header of an open segment and checks that it belongs here. */
export async function readSegmentHeader(
  file: LedgerFile,
  name: string,
  originMark: Uint8Array,
): Promise<SegmentHeader | Flaw> {
  const bytes = Buffer.alloc(segmentHeaderBytes)
  const header = decodeSegmentHeader(bytes.subarray(0, await file.read(bytes, 0)))
  if (isFlaw(header)) return header
  if (segmentName(header.firstPosition) !== name)
    return {
      flaw: 'the segment header says another first position than the file name',
      part: 'frame',
    }
  if (!Buffer.from(header.originMark).equals(originMark))
    return { flaw: 'the segment belongs to another ledger', part: 'frame' }
  return header
}

/**
 * Begins a new segment. If we stop before the folder is synced, the next start finds a segment
 * without a group or none at all, and either is sound.
 */
export async function createSegment(
  files: FilePort,
  folder: string,
  origin: string,
  number: number,
  firstPosition: number,
): Promise<Segment> {
  const name = segmentName(firstPosition)
  const path = join(segmentsFolder(folder), name)
  const header = {
    firstPosition,
    originMark: originMarkOf(origin),
    nonce: Uint8Array.from(randomBytes(16)),
  }
  await files.createFolder(segmentsFolder(folder))
  const file = await files.open(path, 'create')
  try {
    await file.write(encodeSegmentHeader(header), 0)
    await file.sync()
    await files.syncFolder(segmentsFolder(folder))
    await files.syncFolder(folder)
  } catch (error) {
    await file.close()
    await files.remove(path)
    throw error
  }
  return { number, name, header, file }
}
