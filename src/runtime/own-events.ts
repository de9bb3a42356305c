import type { EventReader, RecordedEvent } from '../ledger/event-store.js'
import type { TypePositions } from '../ledger/ledger.js'
import { ledgerProject } from '../ledger/stream-name.js'

export type OwnEventReader = Pick<EventReader, 'readLog'> & { readonly positions: TypePositions }

/** Events that are looked at for one that fits, at most. */
const lookedAtMax = 1_000

/** The ledger's own events of a type, newest first. */
export async function* latestOfType(
  ledger: OwnEventReader,
  type: string,
): AsyncGenerator<RecordedEvent> {
  const size = await ledger.positions.typeSize(ledgerProject, type)
  for (let seq = size - 1; seq >= Math.max(0, size - lookedAtMax); seq -= 1) {
    const from = await ledger.positions.typePosition(ledgerProject, type, seq)
    for await (const event of ledger.readLog({ from, max: 1 }))
      if (event.leaf.writer === 'ledger') yield event
  }
}
