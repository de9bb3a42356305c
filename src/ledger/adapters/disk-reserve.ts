import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import type { FilePort, LedgerFile } from './file-port.js'

/** What the product keeps free for outcomes. */
export const diskReserveBytes = 64 * 1024 * 1024
/** What is given up at once: much more than the outcomes of one group. */
const stepBytes = 1024 * 1024
/** How often a reserve that is not whole is taken anew. */
export const refillIntervalMs = 1_000

export const reserveFile = 'reserve'

/**
 * Space of the disk that the ledger holds with a file of its own, so that nobody can take it. When
 * the disk is full it gives it up step by step to the events whose contract says `fromReserve`;
 * until it is whole again every other event is refused.
 */
export interface DiskReserve {
  /** Why only events with a right to the reserve are taken now; null while it is whole. */
  refusal(): EvidenceError | null
  /** Gives up at least `bytes`, or what is left; answers false when nothing was left. */
  release(bytes: number): Promise<boolean>
  close(): Promise<void>
}

export const noReserve: DiskReserve = {
  refusal: () => null,
  release: () => Promise.resolve(false),
  close: () => Promise.resolve(),
}

/** Takes the reserve as far as the disk has it; a disk without the space opens, and is refused writes. */
export async function openDiskReserve(options: {
  readonly files: FilePort
  readonly folder: string
  readonly bytes: number
  readonly intervalMs?: number
}): Promise<DiskReserve> {
  const { files, folder, bytes, intervalMs = refillIntervalMs } = options
  if (bytes === 0) return noReserve
  const file = await openFile(files, folder)
  let size = await file.size()
  let lack: unknown = null
  let timer: NodeJS.Timeout | undefined
  let closed = false
  // Taking and giving up change one file: one after the other.
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const next = last.then(work)
    last = next.catch(() => undefined)
    return next
  }

  const refill = async () => {
    if (closed) return
    try {
      await fill(file, size, bytes)
      size = bytes
      lack = null
    } catch (error) {
      // Not ours to end anything: what lacks is told to everybody who is refused because of it.
      lack = error
      refillLater()
    }
  }
  const refillLater = () => {
    clearTimeout(timer)
    timer = setTimeout(() => void inTurn(refill), intervalMs).unref()
  }

  await inTurn(refill)
  return {
    refusal: () =>
      size >= bytes
        ? null
        : new EvidenceError(
            'DISK_FULL',
            `the disk is full: the last ${Math.floor(size / stepBytes)} MiB of its reserve are kept for outcomes of what has begun`,
            { cause: lack, details: { retryAfterMs: intervalMs } },
          ),
    release: (wanted) =>
      inTurn(async () => {
        if (size === 0) return false
        size = Math.max(0, size - Math.ceil(wanted / stepBytes) * stepBytes)
        await file.truncate(size)
        // Some file systems give blocks back only once that is durable.
        await file.sync()
        refillLater()
        return true
      }),
    async close() {
      closed = true
      clearTimeout(timer)
      await last
      await file.close()
    },
  }
}

async function openFile(files: FilePort, folder: string): Promise<LedgerFile> {
  const path = join(folder, reserveFile)
  const isThere = (await files.list(folder)).includes(reserveFile)
  return files.open(path, isThere ? 'write' : 'create')
}

/** Makes the file `bytes` long with real blocks; after an error it is as long as it was. */
async function fill(file: LedgerFile, size: number, bytes: number): Promise<void> {
  if (size > bytes) await file.truncate(bytes)
  if (size >= bytes) return
  // Random, so that no file system stores it in less space than it must hold.
  const filling = randomBytes(stepBytes)
  try {
    for (let at = size; at < bytes; at += stepBytes)
      await file.write(filling.subarray(0, Math.min(stepBytes, bytes - at)), at)
    await file.sync()
  } catch (error) {
    await file.truncate(size)
    throw error
  }
}
