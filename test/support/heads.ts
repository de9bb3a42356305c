import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import { headsSealed } from '../../src/contracts/ledger.js'
import { nodeFiles } from '../../src/ledger/adapters/file-port.js'
import { openHeadsStore } from '../../src/ledger/adapters/heads-store.js'
import type { JournalLedger } from '../../src/ledger/adapters/open-journal.js'
import { fact } from '../../src/ledger/facts.js'
import { createHeadsMap } from '../../src/ledger/heads-map.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { createHeadSealing, type HeadSealing } from '../../src/ledger/sealed-heads.js'
import { ledgerStreamOf } from '../../src/ledger/stream-name.js'
import { createLedgerWriter } from '../../src/ledger/writers.js'
import { temporaryFolder } from './ledger.js'

const { sha256 } = nodeCrypto

/** The sealing of a ledger whose next seal is due as soon as `sealIfDue` is called, if there is anything to seal. */
export async function headsOf(t: Test, ledger: JournalLedger): Promise<HeadSealing> {
  const { origin } = ledger
  const path = join(await temporaryFolder(t), 'heads')
  const store = await openHeadsStore({ files: nodeFiles, origin, path })
  t.teardown(() => store.close())
  const writer = createLedgerWriter(ledger)
  return createHeadSealing({
    sha256,
    origin,
    reader: ledger,
    map: createHeadsMap({ sha256, store, nextTurn: () => Promise.resolve() }),
    rule: { leavesMax: 1, delayMsMax: 0 },
    async record(data) {
      const id = randomUUID()
      await writer.record({
        project: 'default',
        stream: ledgerStreamOf(sha256, origin),
        expected: 'any',
        actor: 'ledger',
        facts: [fact(headsSealed, id, data)],
      })
      return id
    },
    onMismatch: ({ position }) => {
      throw new Error(`the seal at position ${position} is wrong`)
    },
  })
}
