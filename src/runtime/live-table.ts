import { setTimeout as pause } from 'node:timers/promises'
import type { HudView, LiveEvent } from '../contracts/http.js'
import { EvidenceError } from '../contracts/errors.js'
import type { LiveTable } from '../contracts/live-table.js'
import type { EventReader } from '../ledger/event-store.js'
import { liveEvent } from './event-view.js'
import type { Log } from './log.js'

export const rowsMax = 1_000
const retryMsMin = 200
const retryMsMax = 10_000
/** Rows older than this are forgotten: the table is for screens, the ledger keeps everything. */
export const keptDays = 30
const forgetEveryMs = 3_600_000
const dayMs = 86_400_000

export interface LiveTableFollower {
  status(): Pick<HudView['parts'][number], 'status' | 'detail'>
  close(): Promise<void>
}

/**
 * Keeps a table of live messages in step with the ledger. The database may go and come back: the position
 * that it holds itself says where to go on, so that each event is there once.
 */
export function followIntoTable({
  reader,
  origin,
  open,
  log,
  now,
}: {
  readonly reader: EventReader
  readonly origin: string
  /** Opens a connection; asked again after a failure. */
  readonly open: () => Promise<LiveTable>
  readonly log: Log
  readonly now: () => number
}): LiveTableFollower {
  const ending = new AbortController()
  const { signal } = ending
  let position: number | undefined
  let failure = ''
  let backoffMs = retryMsMin

  async function fill(table: LiveTable): Promise<void> {
    let from = await table.open(origin)
    if (from > reader.size())
      throw new EvidenceError(
        'LIVE_TABLE_CONFLICT',
        `the table holds ${from} events and the ledger ${reader.size()}: the ledger was restored from an older copy`,
      )
    position = from
    failure = ''
    backoffMs = retryMsMin
    let messages: LiveEvent[] = []
    let forgotten = Number.NEGATIVE_INFINITY
    const write = async (to: number) => {
      if (to <= from) return
      const oldest = now() - keptDays * dayMs
      const kept = messages.filter(({ time }) => Date.parse(time) >= oldest)
      await table.write(from, to, kept)
      messages = []
      position = from = to
      if (now() - forgotten < forgetEveryMs) return
      forgotten = now()
      await table.forget(new Date(oldest))
    }
    for await (const delivery of reader.subscribe({ from, signal })) {
      if (delivery.kind === 'caught-up') await write(delivery.position)
      else {
        messages.push(liveEvent(delivery.event))
        if (messages.length >= rowsMax) await write(delivery.event.position + 1)
      }
    }
  }

  const run = async () => {
    while (!signal.aborted) {
      let table: LiveTable | undefined
      try {
        table = await open()
        await fill(table)
      } catch (error) {
        if (signal.aborted) return
        const detail = error instanceof Error ? error.message : String(error)
        if (failure === '') log.warn('the table of live messages is not reached', { detail })
        failure = detail
        await pause(backoffMs, undefined, { signal }).catch(() => undefined)
        backoffMs = Math.min(2 * backoffMs, retryMsMax)
      } finally {
        await table?.close().catch(() => undefined)
      }
    }
  }
  const running = run()

  return {
    status() {
      if (failure !== '') return { status: 'down', detail: failure }
      if (position === undefined) return { status: 'starting', detail: 'connects' }
      const behind = reader.size() - position
      return behind > rowsMax
        ? { status: 'lagging', detail: `${behind} events behind` }
        : { status: 'ok', detail: `at ${position}` }
    },
    async close() {
      ending.abort()
      await running
    },
  }
}
