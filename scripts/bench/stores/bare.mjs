// The floor: callers that wait are written together. No ids, no digests, no tree, no index.
import { open as openFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createGroups } from '../grouped.mjs'

export const about =
  'callers that wait are written with one write and one fdatasync, as many bytes as the ledger keeps; nothing else'

export async function open(folder, { recordBytes = 1_300 } = {}) {
  const path = join(folder, 'bare')
  const file = await openFile(path, 'a')
  const record = Buffer.alloc(recordBytes, 7)
  const append = createGroups(async (requests) => {
    const events = requests.reduce((sum, { drafts }) => sum + drafts.length, 0)
    await file.write(Buffer.concat(Array.from({ length: events }, () => record)))
    await file.datasync()
  })
  return {
    append,
    count: async () => Math.floor((await stat(path)).size / recordBytes),
    has: async () => true,
    close: () => file.close(),
  }
}
