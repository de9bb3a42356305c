import { randomBytes, randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { nodeFiles } from './ledger/adapters/file-port.js'
import { headsFile, openHeadsStore } from './ledger/adapters/heads-store.js'
import type { JournalView } from './ledger/adapters/open-journal.js'
import type { Ledger } from './ledger/ledger.js'
import { createHeadsMap, type HeadsStore } from './ledger/heads-map.js'
import { nodeCrypto } from './ledger/node-crypto.js'
import { createHeadSealing, type SealedHeads } from './ledger/sealed-heads.js'
import { sealRule } from './ledger/seals.js'
import { createLedgerWriter } from './ledger/writers.js'
import { openAlarm } from './runtime/alarm.js'
import type { Closing } from './runtime/closing.js'
import { type HeadSealer, startHeadSealer } from './runtime/head-sealer.js'
import type { Log } from './runtime/log.js'

const { sha256 } = nodeCrypto
const mapOf = (store: HeadsStore) => createHeadsMap({ sha256, store, nextTurn: () => nextTurn() })

/** The sealer of a ledger that this process writes; its map is kept in the folder of the ledger. */
export async function startSealer(
  ledger: Ledger,
  folder: string,
  { log, closing }: { readonly log: Log; readonly closing: Closing },
): Promise<HeadSealer> {
  const { origin } = ledger
  const store = await openHeadsStore({ files: nodeFiles, origin, path: join(folder, headsFile) })
  const writer = createLedgerWriter(ledger)
  const alarm = await openAlarm({
    ledger,
    writer,
    alarm: 'seal-not-reconciled',
    actor: 'sealer',
    newId: randomUUID,
    nowMs: () => Date.now(),
    log,
  })
  const sealer = startHeadSealer({
    ledger,
    writer,
    alarm,
    map: mapOf(store),
    now: () => Date.now(),
    newId: randomUUID,
    log,
  })
  closing.add('sealer', async () => {
    await sealer.close()
    await store.close()
  })
  return sealer
}

/** The map of the last seal of a ledger that is only looked at; nothing in its folder is written. */
export async function offlineHeads(
  view: JournalView,
  folder: string,
): Promise<{ readonly heads: SealedHeads; close(): Promise<void> }> {
  const scratch = join(tmpdir(), `fractalops-heads-${randomBytes(8).toString('hex')}`)
  const store = await openHeadsStore({
    files: nodeFiles,
    origin: view.origin,
    path: scratch,
    from: join(folder, headsFile),
  })
  const heads = createHeadSealing({
    sha256,
    origin: view.origin,
    reader: view,
    map: mapOf(store),
    rule: sealRule,
    onMismatch: () => undefined,
  })
  return {
    heads,
    async close() {
      await store.close()
      await nodeFiles.remove(scratch)
    },
  }
}
