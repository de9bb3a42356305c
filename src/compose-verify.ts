import { randomUUID } from 'node:crypto'
import { createLedgerVerification } from './ledger/adapters/ledger-verification.js'
import type { JournalLedger } from './ledger/adapters/open-journal.js'
import type { LedgerVerifier } from './ledger/verification.js'
import { createLedgerWriter } from './ledger/writers.js'
import { openAlarm } from './runtime/alarm.js'
import type { Closing } from './runtime/closing.js'
import type { Log } from './runtime/log.js'
import { startVerifier, type VerifierRule } from './runtime/verifier.js'

/** Reads the ledger of this process again and again in the background, as the rule says; undefined = never. */
export async function startVerification(
  ledger: JournalLedger,
  folder: string,
  rule: VerifierRule | undefined,
  { log, closing }: { readonly log: Log; readonly closing: Closing },
): Promise<LedgerVerifier | undefined> {
  if (rule === undefined) return undefined
  const writer = createLedgerWriter(ledger)
  const nowMs = () => Date.now()
  const common = { ledger, writer, nowMs, newId: randomUUID, log }
  const alarm = await openAlarm({ ...common, alarm: 'damage-found', actor: 'verifier' })
  const verifier = startVerifier({
    ...common,
    alarm,
    rule,
    verification: createLedgerVerification({ files: ledger.files, folder }),
  })
  closing.add('verification', () => verifier.close())
  // Nothing that can record is reachable from what the entrances are handed.
  return Object.freeze<LedgerVerifier>({ status: () => verifier.status() })
}
