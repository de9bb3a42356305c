import { randomUUID } from 'node:crypto'
import type { Ledger, OwnLog } from './ledger/ledger.js'
import type { LedgerVerifier } from './ledger/verification.js'
import { createLedgerWriter } from './ledger/writers.js'
import { openAlarm } from './runtime/alarm.js'
import type { Closing } from './runtime/closing.js'
import type { Log } from './runtime/log.js'
import { startVerifier, type VerifierRule } from './runtime/verifier.js'

/** Reads the log of this process again and again in the background, as the rule says; undefined = never. */
export async function startVerification(
  ledger: Ledger,
  { verification }: OwnLog,
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
    verification,
  })
  closing.add('verification', () => verifier.close())
  // Nothing that can record is reachable from what the entrances are handed.
  return Object.freeze<LedgerVerifier>({ status: () => verifier.status() })
}
