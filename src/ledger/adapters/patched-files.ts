import type { FilePort, LedgerFile } from './file-port.js'

/** Files whose readers already see bytes that are only on their way to the disk. */
export interface PatchedFiles {
  readonly files: FilePort
  /** From now on every read of the file sees these bytes; the answer ends that. */
  patch(path: string, offset: number, bytes: Uint8Array): () => Promise<void>
}

interface Patch {
  readonly offset: number
  readonly bytes: Uint8Array
}

/**
 * Lays patches over the files of a port. A block that is overwritten in place is at no instant
 * whole on the disk; with its patch no reader sees it half old and half new, even when the write fails.
 */
export function patchedFiles(files: FilePort): PatchedFiles {
  const patches = new Map<string, Set<Patch>>()
  const reading = new Set<Promise<unknown>>()

  const patched = (file: LedgerFile): LedgerFile => ({
    ...file,
    async read(into, offset) {
      const before = [...(patches.get(file.path) ?? [])]
      const read = file.read(into, offset)
      reading.add(read)
      const got = await read.finally(() => reading.delete(read))
      // Both: a patch may come or go while the disk answers.
      for (const patch of new Set([...before, ...(patches.get(file.path) ?? [])]))
        lay(patch, into.subarray(0, got), offset)
      return got
    },
  })

  return {
    files: {
      ...files,
      open: async (path, mode) => patched(await files.open(path, mode)),
    },
    patch(path, offset, bytes) {
      const patch = { offset, bytes }
      const own = patches.get(path) ?? new Set()
      patches.set(path, own.add(patch))
      return async () => {
        // A read that began before the patch may still carry half of what was overwritten since.
        await Promise.allSettled([...reading])
        own.delete(patch)
      }
    },
  }
}

function lay({ offset, bytes }: Patch, into: Uint8Array, at: number): void {
  const from = Math.max(offset, at)
  const to = Math.min(offset + bytes.length, at + into.length)
  if (from < to) into.set(bytes.subarray(from - offset, to - offset), from - at)
}
