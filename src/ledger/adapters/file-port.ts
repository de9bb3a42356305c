import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** One open file of the ledger. Every method rejects with the system's error (`code` names it). */
export interface LedgerFile {
  readonly path: string
  /** Fills `into` from `offset` as far as the file goes; answers how many bytes it read. */
  read(into: Uint8Array, offset: number): Promise<number>
  /** Writes all bytes; after an error any part of them may be there. */
  write(bytes: Uint8Array, offset: number): Promise<void>
  /** Resolves when everything written so far survives a power cut. */
  sync(): Promise<void>
  truncate(size: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/** All access of the engine to the disk, so that a test can make each call fail in turn. */
export interface FilePort {
  /** `create` fails when the file exists; `write` opens an existing file for reading and writing. */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<LedgerFile>
  readWhole(path: string): Promise<Uint8Array | undefined>
  /** Permission bits; undefined when there is no such file. */
  modeOf(path: string): Promise<number | undefined>
  /** Names in a folder, sorted; empty when there is no such folder. */
  list(folder: string): Promise<readonly string[]>
  /** Makes a folder and those above it that are missing; when it resolves they survive a power cut. */
  createFolder(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Makes creations, renames and removals in a folder survive a power cut. */
  syncFolder(path: string): Promise<void>
}

const flagOf = { read: 'r', write: 'r+', create: 'wx+' } as const

export const isSystemError = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code

/** The files of this machine. */
export const nodeFiles: FilePort = {
  async open(path, mode) {
    const handle = await open(path, flagOf[mode], 0o600)
    return {
      path,
      async read(into, offset) {
        let done = 0
        while (done < into.length) {
          const { bytesRead } = await handle.read(into, done, into.length - done, offset + done)
          if (bytesRead === 0) break
          done += bytesRead
        }
        return done
      },
      async write(bytes, offset) {
        let done = 0
        while (done < bytes.length) {
          const { bytesWritten } = await handle.write(
            bytes,
            done,
            bytes.length - done,
            offset + done,
          )
          done += bytesWritten
        }
      },
      sync: () => handle.datasync(),
      truncate: (size) => handle.truncate(size),
      size: async () => (await handle.stat()).size,
      close: () => handle.close(),
    }
  },
  async readWhole(path) {
    try {
      return await readFile(path)
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return undefined
      throw error
    }
  },
  async modeOf(path) {
    try {
      return (await stat(path)).mode & 0o777
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return undefined
      throw error
    }
  },
  async list(folder) {
    try {
      return (await readdir(folder)).sort()
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return []
      throw error
    }
  },
  async createFolder(path) {
    const first = await mkdir(path, { recursive: true, mode: 0o700 })
    if (first === undefined) return
    for (let made = resolve(path); ; made = dirname(made)) {
      await syncFolder(dirname(made))
      if (made === resolve(first)) return
    }
  },
  rename,
  remove: (path) => rm(path, { force: true }),
  syncFolder,
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Bytes that did not become durable, and whether the file is as it was before. */
export class NotDurable extends Error {
  constructor(
    readonly stage: 'write' | 'sync',
    /** True when the half-written bytes are gone again. */
    readonly undone: boolean,
    cause: unknown,
  ) {
    super(`${stage} failed`, { cause })
  }
}

export const isDiskFull = (error: unknown): error is NotDurable =>
  error instanceof NotDurable &&
  (isSystemError(error.cause, 'ENOSPC') || isSystemError(error.cause, 'EDQUOT'))

/** Disk full before the sync, and the file ends as it ended: nothing but these bytes is lost. */
export const isUndoneDiskFull = (error: unknown): boolean =>
  isDiskFull(error) && error.stage === 'write' && error.undone

/** Writes at the end of an append-only file and syncs. @throws NotDurable. */
export async function appendDurably(
  file: LedgerFile,
  bytes: Uint8Array,
  end: number,
): Promise<void> {
  try {
    await file.write(bytes, end)
  } catch (cause) {
    // What was half-written is cut off; if even that fails, the next start judges the tail.
    const undone = await file.truncate(end).then(
      () => true,
      () => false,
    )
    throw new NotDurable('write', undone, cause)
  }
  try {
    await file.sync()
  } catch (cause) {
    // Nobody can say what is on disk now: the file must not be written to again.
    throw new NotDurable('sync', false, cause)
  }
}

/** Writes the beginning of a new file, which is closed again when that fails. */
export async function writeOrClose(file: LedgerFile, bytes: Uint8Array): Promise<void> {
  try {
    await file.write(bytes, 0)
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Replaces a small file so that a crash leaves either the old or the new content. */
export async function replaceFile(files: FilePort, path: string, bytes: Uint8Array): Promise<void> {
  const beside = `${path}.new`
  await files.remove(beside)
  const file = await files.open(beside, 'create')
  try {
    await file.write(bytes, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await files.rename(beside, path)
  await files.syncFolder(dirname(path))
}
