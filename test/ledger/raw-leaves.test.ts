import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import t from 'tap'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { openJournalReadOnly } from '../../src/ledger/adapters/open-journal.js'
import { hexOf, utf8 } from '../../src/ledger/encoding.js'
import type { Delivery } from '../../src/ledger/event-store.js'
import { leafHash, verifyInclusion } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { rawLeafBytesMax } from '../../src/ledger/raw-leaf.js'
import { parseEntryBundle, readTile } from '../../src/ledger/tiles.js'
import { collect, draft, openTestLedger, request, segmentOf, wholeLog } from '../support/ledger.js'

const { sha256 } = nodeCrypto
const interoperability = true

t.test(
  'raw leaves stand in the tree between events, and readers of events skip them',
  async (t) => {
    const { ledger, folder } = await openTestLedger(t, { interoperability })
    const largest = new Uint8Array(rawLeafBytesMax).fill(7)

    const positions = await Promise.all([
      ledger.addRaw(utf8('one')),
      ledger.append(request({ events: [draft(), draft()] })).then(([first]) => first?.position),
      ledger.addRaw(utf8('one')),
      ledger.addRaw(largest),
    ])
    await ledger.append(request())

    t.strictSame(positions, [0, 1, 3, 4])
    t.equal(ledger.size(), 6)
    const { size, root } = await ledger.checkpointCovering(5)
    const bundle = parseEntryBundle(
      await readTile(ledger, { level: 'entries', index: 0, width: 6 }),
    )
    for (const [index, leaf] of bundle.entries()) {
      const path = await ledger.proveInclusion(index, size)
      verifyInclusion(sha256, { leafHash: leafHash(sha256, leaf), index, size, path, root })
    }
    t.equal(hexOf(bundle[0] ?? new Uint8Array()), hexOf(utf8('one')))
    t.equal(hexOf(bundle[4] ?? new Uint8Array()), hexOf(largest))

    const seen = (events: readonly { position: number }[]) => events.map(({ position }) => position)
    t.strictSame(seen(await wholeLog(ledger)), [1, 2, 5])
    t.strictSame(seen(await collect(ledger.readLog({ direction: 'backwards', max: 2 }))), [5, 2])
    t.strictSame(seen(await collect(ledger.readLog({ from: 3, max: 1 }))), [5])
    t.strictSame(seen(await collect(ledger.readLog({ filter: { project: 'default' } }))), [1, 2, 5])
    const stop = new AbortController()
    const told: Delivery[] = []
    for await (const delivery of ledger.subscribe({ from: 0, signal: stop.signal })) {
      told.push(delivery)
      if (delivery.kind === 'caught-up') stop.abort()
    }
    t.strictSame(
      told.map((one) => (one.kind === 'event' ? one.event.position : `caught-up ${one.position}`)),
      [1, 2, 5, 'caught-up 6'],
    )

    await ledger.close()
    const report = await fsck({ folder })
    t.match(report, { sound: true, events: 3, raw: 3 })
    const again = await openTestLedger(t, { folder })
    t.equal(again.ledger.interoperability, true)
    t.equal(await again.ledger.addRaw(utf8('later')), 6)
    t.strictSame(seen(await wholeLog(again.ledger)), [1, 2, 5])
    await again.ledger.close()
    const view = await openJournalReadOnly({ folder })
    t.equal(view.size(), 7)
    await view.close()
  },
)

t.test('only a ledger that was created for it takes raw leaves, for ever', async (t) => {
  const plain = await openTestLedger(t)
  const other = await openTestLedger(t, { interoperability })

  await t.rejects(plain.ledger.addRaw(utf8('one')), { code: 'NOT_FOUND' })
  t.equal(plain.ledger.size(), 0)
  await plain.ledger.close()
  await other.ledger.close()

  await t.rejects(openTestLedger(t, { folder: plain.folder, interoperability }), {
    code: 'DATA_FOLDER_INVALID',
  })
  const reopened = await openTestLedger(t, { folder: other.folder })
  t.equal(await reopened.ledger.addRaw(utf8('one')), 0)
})

t.test(
  'what is empty, too large or begins like an event is no raw leaf, and nothing is appended',
  async (t) => {
    const { ledger } = await openTestLedger(t, { interoperability })

    await t.rejects(ledger.addRaw(new Uint8Array()), { code: 'REQUEST_INVALID' })
    await t.rejects(ledger.addRaw(new Uint8Array(rawLeafBytesMax + 1)), {
      code: 'REQUEST_TOO_LARGE',
    })
    await t.rejects(ledger.addRaw(utf8('fractalops/leaf/1\n{}')), { code: 'REQUEST_INVALID' })
    await t.rejects(ledger.addRaw(utf8('fractalops/leaf/2\n')), { code: 'REQUEST_INVALID' })

    t.equal(ledger.size(), 0)
    t.equal(await ledger.addRaw(utf8('fractalops/lea')), 0)
  },
)

t.test(
  'an event cannot be passed off as a raw leaf, nor stand raw leaves in other ledgers',
  async (t) => {
    const { ledger, folder } = await openTestLedger(t, { interoperability })
    await ledger.addRaw(utf8('some leaf of others'))
    await ledger.close()
    const segment = await segmentOf(folder)
    const record = (await readFile(segment)).indexOf('RAWL')

    const identity = join(folder, 'ledger.json')
    const text = await readFile(identity, 'utf8')
    await writeFile(identity, text.replace(',"interoperability":true', ''))
    t.match(await fsck({ folder }), {
      sound: false,
      problems: [{ position: 0, flaw: 'a raw leaf stands in a ledger that takes none' }],
    })
    await writeFile(identity, text)

    // What a forger of the journal would write: the bytes of an event under the mark of a raw leaf.
    const file = await open(segment, 'r+')
    const bytes = Buffer.alloc(24 + 'some leaf of others'.length)
    await file.read(bytes, 0, bytes.length, record)
    bytes.write('fractalops/leaf/1\n{', 24)
    bytes.writeUInt32LE(crc32c(bytes.subarray(24), crc32c(bytes.subarray(0, 20))), 20)
    await file.write(bytes, 0, bytes.length, record)
    await file.close()
    const report = await fsck({ folder })
    t.notOk(report.sound)
    t.match(report.problems[0], { position: 0, flaw: 'a raw leaf begins like that of an event' })
    await t.rejects(openTestLedger(t, { folder }), { code: 'JOURNAL_DAMAGED' })
  },
)
