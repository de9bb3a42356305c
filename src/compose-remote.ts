import { readFile } from 'node:fs/promises'
import { EvidenceError } from './contracts/errors.js'
import { openRemoteLedger, type RemoteLedger } from './ledger/adapters/remote-ledger.js'
import { ownWorkerIdentity } from './runtime/adapters/worker-certificate.js'
import type { ServiceIo } from './compose.js'
import type { Closing } from './runtime/closing.js'
import type { Config } from './runtime/config.js'
import type { DataFolder } from './runtime/data-folder.js'
import { remotePlace } from './runtime/ledger-config.js'
import type { Log } from './runtime/log.js'

/**
 * The ledger of another process, for one that runs parts without it. Waits until it is reached, and says what
 * it waits for: that process may start later, and this one may have to be enrolled first.
 *
 * @throws EvidenceError CONFIGURATION_INVALID.
 */
export async function openLedgerElsewhere(
  config: Config,
  folder: DataFolder,
  io: ServiceIo,
  { log, closing }: { readonly log: Log; readonly closing: Closing },
): Promise<RemoteLedger> {
  const { address, authorityFile } = remotePlace(config.ledger, config.components)
  const identity = await ownWorkerIdentity(folder.keys, Date.now())
  const authority = await readFile(authorityFile).catch((cause: unknown) => {
    const message = `the certificate ${authorityFile} (tlsCAFile) cannot be read`
    throw new EvidenceError('CONFIGURATION_INVALID', message, { cause })
  })
  const { certificate, key } = identity
  io.say(`ledger    at ${address}; the key of this process is ${identity.publicKeySha256}`)
  const opening = new AbortController()
  const ledger = await openRemoteLedger(
    { address, authority, certificate, key },
    {
      signal: opening.signal,
      onTrouble(trouble) {
        if (trouble === null) {
          io.say(`ledger    at ${address} is reached`)
          log.info('the ledger is reached', { address })
          return
        }
        io.say(`ledger    ${trouble.message}. ${trouble.remedy}`)
        log.warn('the ledger cannot be used', { address, code: trouble.code })
      },
    },
  )
  closing.add('ledger', () => ledger.close())
  return ledger
}
