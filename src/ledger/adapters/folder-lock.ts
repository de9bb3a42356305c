import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import extensions from 'fs-native-extensions'
import { EvidenceError } from '../../contracts/errors.js'
import { isSystemError } from './file-port.js'

export interface FolderLock {
  release(): Promise<void>
}

/**
 * Takes the lock of a ledger folder: `exclusive` for the one process that writes, `shared` for
 * offline readers, who may be several but never beside a writer. The lock belongs to the open
 * file, so the system takes it back when the process dies, however it dies.
 *
 * @throws EvidenceError LEDGER_LOCKED naming the process that writes; DATA_FOLDER_INVALID when the system refuses.
 */
export async function lockFolder(
  folder: string,
  mode: 'exclusive' | 'shared',
): Promise<FolderLock> {
  const path = join(folder, 'lock')
  const handle = await open(path, mode === 'exclusive' ? 'a+' : 'r', 0o600).catch(
    (error: unknown) => {
      // A copy of a ledger that was never opened for writing has no lock file, and no writer either.
      if (mode === 'shared' && isSystemError(error, 'ENOENT')) return undefined
      if (['EROFS', 'EACCES', 'EPERM'].some((code) => isSystemError(error, code)))
        throw new EvidenceError(
          'DATA_FOLDER_INVALID',
          `the ledger folder ${folder} cannot be ${mode === 'exclusive' ? 'written' : 'read'}`,
          { cause: error },
        )
      throw error
    },
  )
  if (handle === undefined) return { release: async () => {} }
  try {
    if (!extensions.tryLock(handle.fd, 0, 0, { shared: mode === 'shared' })) {
      const holder = (await readFile(path, 'utf8')).trim()
      const named = /^[0-9]+$/.test(holder) ? `the process ${holder}` : 'another process'
      throw new EvidenceError(
        'LEDGER_LOCKED',
        `the ledger folder ${folder} is in use by ${named}`,
        {
          details: { folder, ...(/^[0-9]+$/.test(holder) ? { pid: Number(holder) } : {}) },
        },
      )
    }
    if (mode === 'exclusive') {
      await handle.truncate(0)
      await handle.write(`${process.pid}\n`)
    }
  } catch (error) {
    await handle.close()
    throw error
  }
  let released = false
  return {
    async release() {
      if (released) return
      released = true
      if (mode === 'exclusive') await handle.truncate(0)
      extensions.unlock(handle.fd)
      await handle.close()
    },
  }
}
