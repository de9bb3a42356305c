// A small process on the built engine: appends batches from many callers until it is killed, or until
// `batches` are done, and says on standard output what the ledger told it.
//   appender.mjs FOLDER CALLERS [BATCHES] [SEGMENT_BYTES]
import { randomInt, randomUUID } from 'node:crypto'
import { openJournal } from '../../dist/ledger/adapters/open-journal.js'
import { contentOf } from './appended-content.mjs'

const [folder, callers = '16', batches = 'Infinity', segmentBytesMax = '100000'] =
  process.argv.slice(2)
const say = (line) => process.stdout.write(`${line}\n`)
const bytes = (text) => new TextEncoder().encode(text)

const ledger = await openJournal({
  folder,
  now: () => Date.now(),
  segmentBytesMax: Number(segmentBytesMax),
  checkpointIntervalMs: 5,
}).catch((error) => {
  say(`failed ${error.code}`)
  process.exit(3)
})
let shown = ''
const show = () => {
  const { note } = ledger.checkpoint()
  if (note !== shown) say(`checkpoint ${Buffer.from(note).toString('base64')}`)
  shown = note
}

let left = Number(batches)
async function append(caller) {
  for (; left > 0; left -= 1) {
    const batch = randomUUID()
    const size = 1 + randomInt(4)
    const events = Array.from({ length: size }, () => {
      const id = randomUUID()
      return {
        id,
        type: 'order.placed',
        version: '0',
        writer: 'client',
        actor: 'ada',
        contentType: 'text/plain',
        data: bytes(contentOf(id, batch, size)),
        metadata: bytes('{}'),
      }
    })
    try {
      const receipts = await ledger.append({
        project: 'default',
        stream: `order-${caller}`,
        expected: 'any',
        events,
      })
      say(
        receipts
          .map(({ id, position, revision }) => `ack ${id} ${position} ${revision}`)
          .join('\n'),
      )
    } catch (error) {
      say(`refused ${error.code}`)
      // Of a full disk the ledger may recover; here the caller gives up, as after any other error.
      return
    }
    show()
  }
}

show()
say('open')
await Promise.all(Array.from({ length: Number(callers) }, (_, caller) => append(caller)))
await ledger.close().then(show, (error) => say(`refused ${error.code}`))
say('closed')
