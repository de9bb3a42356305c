import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'

const logBytesMax = 8 * 1024 * 1024
const logBytesKept = 1024 * 1024

/** Where the files of one asset are. */
export interface AssetFiles {
  readonly folder: string
  readonly configuration: string
  log(index: number): string
}

export function assetFiles(folder: string, project: string, assetId: string): AssetFiles {
  // An asset_id may be "." or "..": behind a letter it is a plain name.
  const own = join(folder, project, `a-${assetId}`)
  return {
    folder: own,
    configuration: join(own, 'configuration'),
    log: (index) => join(own, `replica-${index}.log`),
  }
}

const isMissing = (error: unknown) =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')

/** Digest of the configuration on disk; null when there is none. */
export async function configurationDigest(files: AssetFiles): Promise<string | null> {
  try {
    return createHash('sha256')
      .update(await readFile(files.configuration))
      .digest('hex')
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** Replaces the configuration as a whole: a reader sees the old one or the new one. */
export async function writeConfiguration(files: AssetFiles, content: string): Promise<void> {
  await mkdir(files.folder, { recursive: true, mode: 0o700 })
  const draft = `${files.configuration}.${randomUUID()}`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, files.configuration)
  } finally {
    await rm(draft, { force: true })
  }
}

/** Keeps a log within its bound: its end is kept beside it, and the file begins anew. */
export async function boundLog(path: string): Promise<void> {
  let file
  try {
    file = await open(path, 'r+')
  } catch (error) {
    if (isMissing(error)) return
    throw error
  }
  try {
    const { size } = await file.stat()
    if (size <= logBytesMax) return
    const kept = Buffer.alloc(logBytesKept)
    const { bytesRead } = await file.read(kept, 0, logBytesKept, size - logBytesKept)
    const earlier = await open(`${path}.1`, 'w', 0o600)
    try {
      await earlier.writeFile(kept.subarray(0, bytesRead))
    } finally {
      await earlier.close()
    }
    // The writer appends: it goes on at the new end.
    await file.truncate(0)
  } finally {
    await file.close()
  }
}

export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch (error) {
    if (isMissing(error)) return false
    if (error instanceof Error && 'code' in error && error.code === 'EACCES') return false
    throw error
  }
}

/** Where programs are looked for: the Node that runs us first, then the usual places. */
export const defaultPath = [
  dirname(process.execPath),
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
].join(delimiter)

/** The file that a command names, as a shell would find it; undefined when there is none. */
export async function findCommand(
  command: string,
  folder: string,
  path: string,
): Promise<string | undefined> {
  const candidates = command.includes('/')
    ? [isAbsolute(command) ? command : resolve(folder, command)]
    : path.split(delimiter).map((place) => join(place, command))
  for (const candidate of candidates) if (await isProgram(candidate)) return candidate
  return undefined
}
