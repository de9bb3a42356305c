import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repository } from '../../built.mjs'
import { project } from '../events.mjs'

/** A module of the built product. */
export const product = (path) => import(pathToFileURL(join(repository, 'dist', path)).href)

export const about =
  'the embedded ledger, in process: every event salted, digested, chained, a leaf of the tree; signed checkpoints'

export async function open(folder) {
  const { openJournal } = await product('ledger/adapters/open-journal.js')
  const ledger = await openJournal({ folder, now: Date.now })
  return {
    append: (stream, events) => ledger.append({ project, stream, expected: 'any', events }),
    count: async () => ledger.size(),
    has: async (id) => (await ledger.find(id)) !== undefined,
    close: () => ledger.close(),
  }
}
