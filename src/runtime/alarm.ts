import type { LedgerAlarm } from '../contracts/ledger.js'
import { alarmCleared, alarmRaised } from '../contracts/ledger.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { dataOf, fact } from '../ledger/facts.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { ledgerProject, ledgerStreamOf } from '../ledger/stream-name.js'
import type { RecordWriter } from '../ledger/writers.js'
import type { Log } from './log.js'
import { latestOfType, type OwnEventReader } from './own-events.js'

const messageMax = 1_024

/** An alarm of one observer, as it stands on the ledger: raised and cleared once each. */
export interface StandingAlarm {
  /** What it said when it was raised; undefined while it is not. */
  readonly raised: LedgerAlarm | undefined
  /** When it was raised, by the clock of the machine or, before this start, of the ledger. */
  readonly raisedAtMs: number | undefined
  /** Raises it; nothing is recorded when it stands already, of the same place. */
  raise(message: string, place?: LedgerAlarm['place']): Promise<void>
  /** Clears it when it stands. */
  clear(message: string): Promise<void>
}

export interface AlarmParts {
  readonly ledger: OwnEventReader & { readonly origin: string }
  readonly writer: RecordWriter
  readonly alarm: LedgerAlarm['alarm']
  /** Who noticed: the alarms of the engine itself carry the actor `ledger`. */
  readonly actor: string
  readonly newId: () => string
  readonly nowMs: () => number
  readonly log: Log
}

/** Reads how the alarm stands. */
export async function openAlarm(parts: AlarmParts): Promise<StandingAlarm> {
  const { ledger, writer, alarm, actor, newId, nowMs, log } = parts
  const last = async (type: string): Promise<RecordedEvent | undefined> => {
    for await (const event of latestOfType(ledger, type))
      if (event.leaf.actor === actor) return event
    return undefined
  }
  const raisedAt = await last(alarmRaised.type)
  const clearedAt = await last(alarmCleared.type)
  let raised =
    raisedAt !== undefined && raisedAt.position > (clearedAt?.position ?? -1)
      ? dataOf(alarmRaised, raisedAt)
      : undefined
  let raisedAtMs = raised === undefined ? undefined : Date.parse(raisedAt?.leaf.time ?? '')

  const record = async (contract: typeof alarmRaised, data: LedgerAlarm) => {
    await writer.record({
      project: ledgerProject,
      stream: ledgerStreamOf(nodeCrypto.sha256, ledger.origin),
      expected: 'any',
      actor,
      facts: [fact(contract, newId(), data)],
    })
  }
  return {
    get raised() {
      return raised
    },
    get raisedAtMs() {
      return raisedAtMs
    },
    async raise(message, place) {
      if (raised !== undefined && JSON.stringify(raised.place) === JSON.stringify(place)) return
      log.error('ledger alarm', { alarm, change: 'raised', message, ...place })
      const data = {
        alarm,
        message: message.slice(0, messageMax),
        ...(place === undefined ? {} : { place }),
      }
      // Who looks sees it even when the event cannot be recorded.
      raised = data
      raisedAtMs = nowMs()
      await record(alarmRaised, data)
    },
    async clear(message) {
      if (raised === undefined) return
      log.info('ledger alarm', { alarm, change: 'cleared' })
      await record(alarmCleared, { alarm, message })
      raised = undefined
      raisedAtMs = undefined
    },
  }
}
