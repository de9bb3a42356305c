import { randomUUID } from 'node:crypto'
import { alarmCleared, alarmRaised } from '../../contracts/ledger.js'
import { encodeFact } from '../facts.js'
import { nodeCrypto } from '../node-crypto.js'
import { ledgerProject, ledgerStreamOf } from '../stream-name.js'
import { createRequestTaker, type PreparedRequest } from './draft-check.js'

/** Something about the ledger that a person must look at, as long as it lasts. */
export interface Alarm {
  readonly alarm: 'clock-stepped-back'
  readonly message: string
}

/** The stream of the ledger's own events. */
export const ledgerStream = (origin: string): string => ledgerStreamOf(nodeCrypto.sha256, origin)

/** Ledger time of one group, and the alarm event that the group must carry because of it. */
export interface ClockReading {
  readonly timeMs: number
  readonly event: PreparedRequest | null
  /** Makes the reading the state of the clock; called once the group is durable. */
  commit(): void
}

/** Ledger time never decreases: when the clock of the machine steps back it holds, and an alarm tells. */
export interface LedgerClock {
  read(): ClockReading
  readonly alarm: Alarm | null
}

export function createLedgerClock(options: {
  readonly origin: string
  readonly now: () => number
  readonly lastTimeMs: number
  readonly raised: boolean
  readonly onAlarm: (alarm: Alarm, change: 'raised' | 'cleared') => void
}): LedgerClock {
  const { origin, now, onAlarm } = options
  let last = options.lastTimeMs
  let alarm: Alarm | null = options.raised
    ? {
        alarm: 'clock-stepped-back',
        message: 'the clock had gone back before the last stop; ledger time holds',
      }
    : null

  const takeRequests = createRequestTaker()
  const eventOf = (contract: typeof alarmRaised, data: Alarm) =>
    takeRequests([
      {
        project: ledgerProject,
        stream: ledgerStream(origin),
        expected: 'any',
        events: [encodeFact({ contract, id: randomUUID(), data }, 'ledger')],
      },
    ])

  return {
    get alarm() {
      return alarm
    },
    read() {
      const reading = Math.floor(now())
      if (reading < last && alarm === null) {
        const raised: Alarm = {
          alarm: 'clock-stepped-back',
          message: `the clock went back by ${last - reading} ms; ledger time holds`,
        }
        return {
          timeMs: last,
          event: eventOf(alarmRaised, raised),
          commit() {
            alarm = raised
            onAlarm(raised, 'raised')
          },
        }
      }
      if (reading > last && alarm !== null) {
        const cleared = { ...alarm, message: 'the clock has passed ledger time again' }
        return {
          timeMs: reading,
          event: eventOf(alarmCleared, cleared),
          commit() {
            last = reading
            alarm = null
            onAlarm(cleared, 'cleared')
          },
        }
      }
      const timeMs = Math.max(reading, last)
      return { timeMs, event: null, commit: () => void (last = timeMs) }
    },
  }
}
