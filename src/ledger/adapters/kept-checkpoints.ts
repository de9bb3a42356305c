import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { EvidenceError } from '../../contracts/errors.js'
import { parseSignedCheckpoint } from '../checkpoint.js'
import { textOf } from '../encoding.js'
import type { PublishedCheckpoint } from '../event-store.js'
import { appendDurably, type FilePort, type LedgerFile } from './file-port.js'
import { type HashList, hashList } from './growing-list.js'

/**
 * Every checkpoint that was ever shown, in an append-only file. A checkpoint is synced here
 * before anybody sees it: so after a crash the engine knows all that it ever signed.
 */
export interface KeptCheckpoints {
  readonly count: number
  sizeAt(index: number): number
  rootAt(index: number): Uint8Array
  noteAt(index: number): Promise<PublishedCheckpoint>
  /** Index of the first checkpoint with more than `size` leaves; `count` when there is none. */
  firstAfter(size: number): number
  /** Where the last checkpoint stands in the file. */
  readonly lastOffset: number
  /** Resolves when the checkpoint is durable. @throws NotDurable. */
  append(checkpoint: PublishedCheckpoint): Promise<void>
  close(): Promise<void>
}

export const checkpointsFile = 'checkpoints'
const magic = Buffer.from('CKPT', 'latin1')
const headerBytes = 16
const noteBytesMax = 65_536

export interface KeptFrame {
  readonly offset: number
  readonly note: string
}

/** What stands in the file behind its last sound frame: nothing, a torn write, or damage. */
export interface KeptTail {
  readonly offset: number
  readonly kind: 'clean' | 'torn' | 'damaged'
}

/** Reads all frames of the file; stops at the first that is not sound and says what it is. */
export function readFrames(bytes: Buffer): {
  readonly frames: readonly KeptFrame[]
  readonly tail: KeptTail
} {
  const frames: KeptFrame[] = []
  let at = 0
  while (at < bytes.length) {
    const note = frameAt(bytes, at)
    if (note === undefined) break
    frames.push({ offset: at, note: textOf(note) })
    at += headerBytes + note.length
  }
  if (at === bytes.length) return { frames, tail: { offset: at, kind: 'clean' } }
  // A torn write ends early or in zeros; a frame that is there up to its last newline was once
  // whole, and so is one that another frame follows: something changed it.
  const rest = bytes.subarray(at)
  const ended = rest.length > headerBytes && rest.at(-1) === 10
  const kind = ended || rest.indexOf(magic, 1) !== -1 ? 'damaged' : 'torn'
  return { frames, tail: { offset: at, kind } }
}

function frameAt(bytes: Buffer, at: number): Buffer | undefined {
  if (at + headerBytes > bytes.length || !bytes.subarray(at, at + 4).equals(magic)) return undefined
  const length = bytes.readUInt32LE(at + 4)
  const note = bytes.subarray(at + headerBytes, at + headerBytes + length)
  if (length > noteBytesMax || note.length < length) return undefined
  return bytes.readUInt32LE(at + 12) === crc32c(note, crc32c(bytes.subarray(at, at + 12)))
    ? note
    : undefined
}

function encodeFrame(note: string): Buffer {
  const text = Buffer.from(note)
  const frame = Buffer.alloc(headerBytes + text.length)
  magic.copy(frame, 0)
  frame.writeUInt32LE(text.length, 4)
  text.copy(frame, headerBytes)
  frame.writeUInt32LE(crc32c(text, crc32c(frame.subarray(0, 12))), 12)
  return frame
}

/** The error that names a damaged place of the kept checkpoints. */
export const keptDamage = (offset: number, flaw: string, cause?: unknown) =>
  new EvidenceError(
    'JOURNAL_DAMAGED',
    `${checkpointsFile} is damaged at offset ${offset}: ${flaw}`,
    {
      cause,
      details: { segment: checkpointsFile, offset, flaw },
    },
  )

/** Opens the file; `write` also creates it and cuts off a torn tail. @throws EvidenceError JOURNAL_DAMAGED. */
export async function openKeptCheckpoints(
  files: FilePort,
  folder: string,
  origin: string,
  mode: 'read' | 'write',
): Promise<KeptCheckpoints> {
  const path = join(folder, checkpointsFile)
  const content = await files.readWhole(path)
  const { frames, tail } = readFrames(Buffer.from(content ?? []))
  if (tail.kind === 'damaged')
    throw keptDamage(tail.offset, 'a kept checkpoint does not match its checksum')
  const kept = memoryOf(origin)
  for (const frame of frames) kept.add(frame)
  let file: LedgerFile | undefined
  if (content !== undefined) file = await files.open(path, mode)
  else if (mode === 'write') file = await files.open(path, 'create')
  if (mode === 'write' && file !== undefined) {
    if (tail.kind === 'torn') await file.truncate(tail.offset)
    // Its sync may have failed, and the system may think it clean since: it is written again.
    const last = frames.at(-1)?.offset ?? tail.offset
    if (content !== undefined) await file.write(content.subarray(last, tail.offset), last)
    await file.sync()
    // Always: whoever created a file of the ledger may have been killed before its name was synced.
    await files.syncFolder(folder)
  }
  return keptOver(kept, file, tail.offset)
}

function checkpointOf(note: string, offset: number) {
  try {
    return parseSignedCheckpoint(note).checkpoint
  } catch (cause) {
    throw keptDamage(offset, 'it is no checkpoint', cause)
  }
}

/** Sizes, roots and places of the kept checkpoints, and what each must be beside the one before. */
function memoryOf(origin: string) {
  const sizes: number[] = []
  const offsets: number[] = []
  const roots: HashList = hashList()
  return {
    sizes,
    offsets,
    roots,
    add({ offset, note }: KeptFrame) {
      const checkpoint = checkpointOf(note, offset)
      if (checkpoint.origin !== origin)
        throw keptDamage(offset, `it is a checkpoint of ${checkpoint.origin}`)
      if (checkpoint.size < (sizes.at(-1) ?? 0))
        throw keptDamage(offset, 'a checkpoint is smaller than the one before')
      sizes.push(checkpoint.size)
      offsets.push(offset)
      roots.push(checkpoint.root)
    },
  }
}

function keptOver(
  kept: ReturnType<typeof memoryOf>,
  file: LedgerFile | undefined,
  length: number,
): KeptCheckpoints {
  const { sizes, offsets, roots } = kept
  let end = length
  const noteAt = async (index: number): Promise<PublishedCheckpoint> => {
    const offset = offsets[index]
    if (offset === undefined || file === undefined)
      throw new RangeError(`there is no kept checkpoint ${index}`)
    const bytes = Buffer.alloc((offsets[index + 1] ?? end) - offset)
    const text = frameAt(bytes.subarray(0, await file.read(bytes, offset)), 0)
    if (text === undefined)
      throw keptDamage(offset, 'a kept checkpoint does not match its checksum')
    const note = textOf(text)
    return { ...parseSignedCheckpoint(note).checkpoint, note }
  }
  return {
    get count() {
      return sizes.length
    },
    sizeAt(index) {
      const size = sizes[index]
      if (size === undefined) throw new RangeError(`there is no kept checkpoint ${index}`)
      return size
    },
    rootAt: (index) => roots.at(index),
    noteAt,
    get lastOffset() {
      return offsets.at(-1) ?? 0
    },
    firstAfter(size) {
      let low = 0
      let high = sizes.length
      while (low < high) {
        const middle = (low + high) >> 1
        if ((sizes[middle] ?? 0) > size) high = middle
        else low = middle + 1
      }
      return low
    },
    async append(checkpoint) {
      if (file === undefined) throw new Error('the kept checkpoints were opened for reading')
      const frame = encodeFrame(checkpoint.note)
      await appendDurably(file, frame, end)
      kept.add({ offset: end, note: checkpoint.note })
      end += frame.length
    },
    close: async () => file?.close(),
  }
}
