import { join } from 'node:path'
import { openLedger } from './compose-ledger.js'
import type { KeyHistoryView } from './contracts/http.js'
import { keyFiles } from './ledger/adapters/key-file.js'
import { openJournalReadOnly } from './ledger/adapters/open-journal.js'
import { openServiceLog } from './runtime/adapters/service-log.js'
import { dataFolder } from './runtime/data-folder.js'
import { keyHistoryOf } from './runtime/key-history.js'

/** What is fixed when a ledger is created stays as it was. */
const asItIs = {
  ledger: { kind: 'embedded' },
  origin: undefined,
  policies: undefined,
  interoperability: false,
} as const

/**
 * Gives the ledger of a data folder, on which nothing runs, a new key. If we stop behind the first step,
 * the next start of the service finds the key that waits and goes on.
 *
 * @throws EvidenceError DATA_FOLDER_INVALID, LEDGER_LOCKED, KEY_FILE_INVALID.
 */
export async function rotateKey(data: string): Promise<KeyHistoryView> {
  const folder = dataFolder(data)
  // Nothing is created by a change: the ledger is there, sound, and nobody writes it.
  const view = await openJournalReadOnly({ folder: folder.ledger })
  const { origin } = view
  await view.close()
  await keyFiles(join(folder.keys, 'checkpoint.key')).prepareNext(origin)
  const log = openServiceLog(join(folder.path, 'service.log'))
  const { ledger } = await openLedger(asItIs, folder, log)
  try {
    return await keyHistoryOf(ledger, ledger.keys)
  } finally {
    await ledger.close()
  }
}
