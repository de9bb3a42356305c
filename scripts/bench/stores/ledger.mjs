import { project } from '../events.mjs'
import { proofRates, readRates, usableProofs } from '../ledger-rates.mjs'
import { product } from '../product.mjs'

export const about =
  'the embedded ledger, in process: every event salted, digested, chained, a leaf of the tree; signed checkpoints'

const { openJournal } = await product('ledger/adapters/open-journal.js')

export async function open(folder) {
  const ledger = await openJournal({ folder, now: Date.now })
  return {
    append: (stream, events) => ledger.append({ project, stream, expected: 'any', events }),
    count: async () => ledger.size(),
    has: async (id) => (await ledger.find(id)) !== undefined,
    close: () => ledger.close(),
    usableProofs: (options) => usableProofs(ledger, options),
    proofRates: (options) => proofRates(ledger, options),
    readRates: (options) => readRates(ledger, options),
  }
}
