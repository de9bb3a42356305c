import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { EvidenceError } from '../../contracts/errors.js'
import { parseSignedCheckpoint } from '../checkpoint.js'
import { textOf } from '../encoding.js'
import type { PublishedCheckpoint } from '../event-store.js'
import { appendDurably, type FilePort, type LedgerFile } from './file-port.js'

/** A kept checkpoint and where it stands in the file. */
export interface KeptCheckpoint extends PublishedCheckpoint {
  readonly offset: number
}

/**
 * Every checkpoint that was ever shown, in an append-only file. A checkpoint is synced here
 * before anybody sees it: so after a crash the engine knows all that it ever signed. Only the latest
 * are in memory; older ones are looked for in the file, whose sizes never decrease.
 */
export interface KeptCheckpoints {
  readonly last: KeptCheckpoint | undefined
  /** The first checkpoint with more than `size` leaves; of several with one size the last, which most keys signed. @throws EvidenceError JOURNAL_DAMAGED. */
  firstAfter(size: number): Promise<KeptCheckpoint | undefined>
  /** All with more than `size` leaves, oldest first. @throws EvidenceError JOURNAL_DAMAGED. */
  after(size: number): AsyncGenerator<KeptCheckpoint>
  /** Resolves when the checkpoint is durable. @throws NotDurable. */
  append(checkpoint: PublishedCheckpoint): Promise<void>
  close(): Promise<void>
}

export const checkpointsFile = 'checkpoints'
const magic = Buffer.from('CKPT', 'latin1')
const headerBytes = 16
const noteBytesMax = 65_536
const frameBytesMax = headerBytes + noteBytesMax
/** What a start reads of the file at its end: more than one frame for sure. */
const tailBytes = 4 * frameBytesMax
/** The latest checkpoints, found without reading the file. */
const recentMax = 4_096

export interface KeptFrame {
  readonly offset: number
  readonly note: string
}

/** What stands in the file behind its last sound frame: nothing, a torn write, or damage. */
export interface KeptTail {
  readonly offset: number
  readonly kind: 'clean' | 'torn' | 'damaged'
}

/** Reads all frames of the bytes; stops at the first that is not sound and says what it is. */
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

/**
 * The frames of a whole file, read in pieces. A place that is no frame is told, and what follows is
 * read from the next frame on; of the end it is told what it is.
 */
export async function* framesOf(
  file: LedgerFile,
  onTail: (tail: KeptTail) => void,
  from = 0,
): AsyncGenerator<KeptFrame> {
  const size = await file.size()
  for (let at = from; at < size;) {
    const read = Buffer.alloc(Math.min(2 * frameBytesMax, size - at))
    const bytes = read.subarray(0, await file.read(read, at))
    const { frames, tail } = readFrames(bytes)
    for (const { offset, note } of frames) yield { offset: at + offset, note }
    if (tail.kind === 'clean') at += bytes.length
    // Cut by the piece that was read, not in the file.
    else if (tail.offset > 0 && at + bytes.length < size) at += tail.offset
    else {
      const next = firstFrame(bytes, tail.offset + 1)
      const isInside = next !== undefined || at + bytes.length < size
      onTail({ offset: at + tail.offset, kind: isInside ? 'damaged' : tail.kind })
      at += next ?? Math.max(1, bytes.length - frameBytesMax)
      if (!isInside) return
    }
    if (bytes.length === 0) return
  }
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
  name = checkpointsFile,
): Promise<KeptCheckpoints> {
  const file = await openFile(files, folder, name, mode)
  if (file === undefined) return keptOver(undefined, origin, [], 0)
  try {
    const { from, bytes } = await readTail(file)
    const { frames, tail } = readFrames(bytes)
    const end = from + tail.offset
    if (tail.kind === 'damaged' || (from > 0 && frames.length === 0))
      throw keptDamage(end, 'a kept checkpoint does not match its checksum')
    if (mode === 'write') {
      if (tail.kind === 'torn') await file.truncate(end)
      // Its sync may have failed, and the system may think it clean since: it is written again.
      const last = frames.at(-1)?.offset ?? tail.offset
      await file.write(bytes.subarray(last, tail.offset), from + last)
      await file.sync()
      // Always: whoever created a file of the ledger may have been killed before its name was synced.
      await files.syncFolder(folder)
    }
    const placed = frames.map(({ offset, note }) => ({ offset: from + offset, note }))
    return keptOver(file, origin, placed, end)
  } catch (error) {
    await file.close()
    throw error
  }
}

async function openFile(files: FilePort, folder: string, name: string, mode: 'read' | 'write') {
  const path = join(folder, name)
  if ((await files.list(folder)).includes(name)) return files.open(path, mode)
  if (mode === 'read') return undefined
  return files.open(path, 'create')
}

/** The end of the file from a sound frame on: all of a small file. */
async function readTail(file: LedgerFile): Promise<{ from: number; bytes: Buffer }> {
  const size = await file.size()
  const start = Math.max(0, size - tailBytes)
  const read = Buffer.alloc(size - start)
  const bytes = read.subarray(0, await file.read(read, start))
  const first = start === 0 ? 0 : (firstFrame(bytes, 0) ?? bytes.length)
  return { from: start + first, bytes: bytes.subarray(first) }
}

/** Where the first sound frame begins at or behind `from`. */
function firstFrame(bytes: Buffer, from: number): number | undefined {
  for (let at = bytes.indexOf(magic, from); at !== -1; at = bytes.indexOf(magic, at + 1))
    if (frameAt(bytes, at) !== undefined) return at
  return undefined
}

function checkpointOf({ note, offset }: KeptFrame, origin: string): KeptCheckpoint {
  try {
    const { checkpoint } = parseSignedCheckpoint(note)
    if (checkpoint.origin === origin) return { ...checkpoint, note, offset }
    throw new Error(`it is a checkpoint of ${checkpoint.origin}`)
  } catch (cause) {
    throw keptDamage(offset, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

function keptOver(
  file: LedgerFile | undefined,
  origin: string,
  frames: readonly KeptFrame[],
  length: number,
): KeptCheckpoints {
  let end = length
  let last: KeptCheckpoint | undefined
  /** Where the latest checkpoints stand, oldest first. */
  let recent: { readonly size: number; readonly offset: number }[] = []
  const add = (checkpoint: KeptCheckpoint) => {
    if (checkpoint.size < (last?.size ?? 0))
      throw keptDamage(checkpoint.offset, 'a checkpoint is smaller than the one before')
    last = checkpoint
    recent.push({ size: checkpoint.size, offset: checkpoint.offset })
    if (recent.length > 2 * recentMax) recent = recent.slice(-recentMax)
  }
  for (const frame of frames) add(checkpointOf(frame, origin))

  /** The frames from one place on, as far as the file goes when they are read. */
  const walk = async function* (offset: number): AsyncGenerator<KeptCheckpoint> {
    for (let at = offset; file !== undefined && at < end;) {
      const read = Buffer.alloc(Math.min(2 * frameBytesMax, end - at))
      const bytes = read.subarray(0, await file.read(read, at))
      for (let within = 0; ;) {
        const note = frameAt(bytes, within)
        if (note === undefined) {
          if (within === 0) throw keptDamage(at, 'a kept checkpoint does not match its checksum')
          at += within
          break
        }
        yield checkpointOf({ offset: at + within, note: textOf(note) }, origin)
        within += headerBytes + note.length
      }
    }
  }
  const offsetAfter = async (size: number): Promise<number> => {
    const first = recent[0]
    const found = recent.find((checkpoint) => checkpoint.size > size)
    if (first === undefined || found === undefined) return end
    if (found !== first || first.offset === 0 || file === undefined) return found.offset
    return narrow(file, size, first.offset)
  }
  const after = async function* (size: number): AsyncGenerator<KeptCheckpoint> {
    for await (const checkpoint of walk(await offsetAfter(size)))
      if (checkpoint.size > size) yield checkpoint
  }
  return {
    get last() {
      return last
    },
    async firstAfter(size) {
      let found: KeptCheckpoint | undefined
      for await (const checkpoint of after(size)) {
        if (found !== undefined && checkpoint.size !== found.size) break
        found = checkpoint
      }
      return found
    },
    after,
    async append(checkpoint) {
      if (file === undefined) throw new Error('the kept checkpoints were opened for reading')
      const frame = encodeFrame(checkpoint.note)
      await appendDurably(file, frame, end)
      add({ ...checkpoint, offset: end })
      end += frame.length
    },
    close: async () => file?.close(),
  }
}

/** Where a frame begins that is not behind the first checkpoint with more than `size` leaves, found without reading all. */
export const seekFrame = async (file: LedgerFile, size: number): Promise<number> =>
  narrow(file, size, await file.size())

/** The last sound frame of a file, found at its end. */
export async function lastFrame(file: LedgerFile): Promise<KeptFrame | undefined> {
  const { from, bytes } = await readTail(file)
  const last = readFrames(bytes).frames.at(-1)
  return last && { offset: from + last.offset, note: last.note }
}

/** Halves the file until little is left before the first checkpoint with more than `size` leaves; answers where a frame begins there. */
async function narrow(file: LedgerFile, size: number, known: number): Promise<number> {
  let low = 0
  let high = known
  while (high - low > 2 * frameBytesMax) {
    const middle = Math.floor((low + high) / 2)
    const read = Buffer.alloc(Math.min(2 * frameBytesMax, high - middle))
    const bytes = read.subarray(0, await file.read(read, middle))
    const at = firstFrame(bytes, 0)
    const note = at === undefined ? undefined : frameAt(bytes, at)
    // Whoever walks on from here finds out why.
    if (at === undefined || note === undefined) return low
    if (parseSignedCheckpoint(textOf(note)).checkpoint.size > size) high = middle + at
    else low = middle + at
  }
  return low
}
