import { randomUUID } from 'node:crypto'
import { openJournal } from '../../src/ledger/adapters/open-journal.js'
import { utf8 } from '../../src/ledger/encoding.js'
import { draft, request } from './ledger.js'

// Appends batches of three until it is killed; says of each event when it was acknowledged.
const folder = process.argv[2]
if (folder === undefined) throw new Error('name the folder')
const ledger = await openJournal({ folder, now: () => Date.now(), segmentBytesMax: 100_000 })
await Promise.all(
  Array.from({ length: 16 }, async (_, writer) => {
    for (;;) {
      const batch = randomUUID()
      const events = [0, 1, 2].map(() => draft({ data: utf8(batch + 'x'.repeat(200)) }))
      await ledger.append(request({ stream: `order-${writer}`, events }))
      for (const { id } of events) process.stdout.write(`ack ${id}\n`)
    }
  }),
)
