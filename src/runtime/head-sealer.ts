import { EvidenceError } from '../contracts/errors.js'
import { headsSealed } from '../contracts/ledger.js'
import type { EventStore, ProofSource } from '../ledger/event-store.js'
import { fact } from '../ledger/facts.js'
import type { HeadsMap } from '../ledger/heads-map.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { createHeadSealing, type SealedHeads } from '../ledger/sealed-heads.js'
import { type SealRule, sealRule } from '../ledger/seals.js'
import { ledgerProject, ledgerStreamOf } from '../ledger/stream-name.js'
import type { RecordWriter } from '../ledger/writers.js'
import type { StandingAlarm } from './alarm.js'
import type { Log } from './log.js'
import { startRetryLoop } from './retry-loop.js'

/** How often it looks whether a seal is due: a comparison of two numbers as long as none is. */
const lookMs = 500

export interface HeadSealer {
  readonly heads: SealedHeads
  /** Looks at once whether a seal is due. */
  look(): void
  close(): Promise<void>
}

/**
 * Records `ledger.heads-sealed` when the rule asks for it. It works behind the log and beside it: the
 * ledger waits for no seal, and a seal says which leaves it covers.
 */
export function startHeadSealer({
  ledger,
  writer,
  map,
  now,
  newId,
  log,
  rule = sealRule,
  alarm,
}: {
  readonly ledger: EventStore & ProofSource
  readonly writer: RecordWriter
  readonly map: HeadsMap
  readonly now: () => number
  readonly newId: () => string
  readonly log: Log
  readonly rule?: SealRule
  /** Absent = a mismatch is only logged. */
  readonly alarm?: StandingAlarm
}): HeadSealer {
  const tellAlarm = (tell: (one: StandingAlarm) => Promise<void>) => {
    if (alarm === undefined) return
    tell(alarm).catch((error: unknown) =>
      log.error('an alarm could not be recorded', {
        code: error instanceof EvidenceError ? error.code : String(error),
      }),
    )
  }
  const sealing = createHeadSealing({
    sha256: nodeCrypto.sha256,
    origin: ledger.origin,
    reader: ledger,
    map,
    rule,
    async record(data) {
      const id = newId()
      await writer.record({
        project: ledgerProject,
        stream: ledgerStreamOf(nodeCrypto.sha256, ledger.origin),
        expected: 'any',
        actor: 'ledger',
        facts: [fact(headsSealed, id, data)],
      })
      return id
    },
    onMismatch({ position, size }, root) {
      log.error('a seal does not name the heads it covers', { position, size, root })
      const message = `the seal at position ${position} does not name the heads of the first ${size} leaves`
      tellAlarm((one) => one.raise(message))
    },
    // A later seal names the heads of all leaves, those that the wrong one covers included.
    onMatch: () => tellAlarm((one) => one.clear('the last seal names the heads it covers')),
  })
  const looking = setInterval(() => round.wake(), lookMs)
  looking.unref()
  const round = startRetryLoop({
    name: 'sealing heads',
    log,
    async work() {
      try {
        await sealing.sealIfDue(now())
      } catch (error) {
        if (!(error instanceof EvidenceError) || error.code !== 'LEDGER_READ_ONLY') throw error
        // For good, until the next start: there is nothing new to seal.
        clearInterval(looking)
      }
      return true
    },
  })
  return {
    // Nothing that can record is reachable from what the entrances are handed.
    heads: Object.freeze<SealedHeads>({
      prove: (kind, project, name) => sealing.prove(kind, project, name),
    }),
    look: () => round.wake(),
    async close() {
      clearInterval(looking)
      await round.close()
    },
  }
}
