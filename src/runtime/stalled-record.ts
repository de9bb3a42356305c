import { projectionStalled } from '../contracts/projection.js'
import type { EventReader } from '../ledger/event-store.js'
import { dataOf, fact, isOf } from '../ledger/facts.js'
import { ledgerProject } from '../ledger/stream-name.js'
import type { RecordWriter } from '../ledger/writers.js'
import type { Log } from './log.js'
import type { Stalled } from './project.js'

/** Events of a table that are looked at: what it stopped at before is among the last. */
const lookedAtMax = 32

/** Tells on the ledger, once for every place, that a fact table stopped. It never throws: folding goes on. */
export function createStalledRecord({
  reader,
  writer,
  newId,
  log,
}: {
  readonly reader: Pick<EventReader, 'readStream'>
  readonly writer: RecordWriter
  readonly newId: () => string
  readonly log: Log
}): (stalled: Stalled) => Promise<void> {
  const isTold = async (stream: string, { position, version }: Stalled): Promise<boolean> => {
    const read = { project: ledgerProject, stream, max: lookedAtMax }
    for await (const event of reader.readStream({ ...read, direction: 'backwards' })) {
      const data = isOf(projectionStalled, event) ? dataOf(projectionStalled, event) : undefined
      if (data?.position === String(position) && data.projector_version === String(version))
        return true
    }
    return false
  }

  return async (stalled) => {
    const { table, version, position, eventId, eventType, reasonCode } = stalled
    const stream = `projection-${table}`
    try {
      if (await isTold(stream, stalled)) return
      await writer.record({
        project: ledgerProject,
        stream,
        expected: 'any',
        actor: 'projector',
        facts: [
          fact(projectionStalled, newId(), {
            table,
            projector_version: String(version),
            position: String(position),
            event_id: eventId,
            event_type: eventType,
            reason_code: reasonCode,
          }),
        ],
      })
    } catch (error) {
      log.warn('a stalled fact table could not be told of', { table, error: String(error) })
    }
  }
}
