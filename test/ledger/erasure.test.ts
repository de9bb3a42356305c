import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { erasedPayload } from '../../src/ledger/adapters/journal-format.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { openJournal, openJournalReadOnly } from '../../src/ledger/adapters/open-journal.js'
import { utf8 } from '../../src/ledger/encoding.js'
import { verifyInclusion } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { erasing } from '../support/erasing.js'
import { draft, openTestLedger, request, segmentOf } from '../support/ledger.js'

const now = () => Date.UTC(2026, 0, 2)
const secret = 'a secret that must go'
const note = 'a note that must go'
const private_ = () =>
  draft({
    data: utf8(JSON.stringify({ secret })),
    metadata: utf8(JSON.stringify({ source: note })),
  })

t.test('data and metadata are erased together or apart, and every proof stays', async (t) => {
  const { ledger, folder } = await openTestLedger(t)
  const [both, data, metadata, kept] = [private_(), private_(), private_(), private_()]
  await ledger.append(request({ events: [both, data, metadata, kept] }))
  const before = await ledger.find(both.id)
  const told = erasing([
    { id: both.id, parts: ['data', 'metadata'] },
    { id: data.id, parts: ['data'] },
    { id: metadata.id, parts: ['metadata'] },
  ])

  const receipt = await ledger.erase(told)
  t.match(receipt, { position: 4, repeated: false })

  const check = async (reader: Pick<typeof ledger, 'find'>) => {
    const parts = async (id: string) => {
      const found = await reader.find(id)
      return [found?.data !== null, found?.metadata !== null]
    }
    t.strictSame(await parts(both.id), [false, false])
    t.strictSame(await parts(data.id), [false, true])
    t.strictSame(await parts(metadata.id), [true, false])
    t.strictSame(await parts(kept.id), [true, true])
    t.strictSame((await reader.find(both.id))?.leafText, before?.leafText)
  }
  await check(ledger)
  const { size, root } = await ledger.checkpointCovering(4)
  verifyInclusion(nodeCrypto.sha256, {
    leafHash: before?.leafHash ?? new Uint8Array(),
    index: 0,
    size,
    path: await ledger.proveInclusion(0, size),
    root,
  })
  await ledger.close()
  const bytes = (await readFile(await segmentOf(folder))).toString('latin1')
  t.equal(bytes.split(secret).length - 1, 2, 'only where it stays')
  t.equal(bytes.split(note).length - 1, 2)
  t.match(await fsck({ folder }), { sound: true, events: 5, unfinishedErasure: null })
  const again = await openJournal({ folder, now })
  t.teardown(() => again.close())
  await check(again)
})

t.test('an erased event sent again answers its receipt, marked, and stores nothing', async (t) => {
  const { ledger } = await openTestLedger(t)
  const event = private_()
  const [first] = await ledger.append(request({ events: [event] }))
  t.equal(first?.erased, false)
  const told = erasing([{ id: event.id, parts: ['data'] }])
  const receipt = await ledger.erase(told)

  const changed = { ...event, data: utf8('nobody can compare') }
  t.strictSame(await ledger.append(request({ events: [changed] })), [
    { ...first, repeated: true, erased: true },
  ])
  for (const other of [
    request({ events: [{ ...event, type: 'order.paid' }] }),
    request({ events: [{ ...event, contentType: 'text/plain' }] }),
    request({ stream: 'order-2', events: [event] }),
  ])
    await t.rejects(ledger.append(other), { code: 'EVENT_ID_REUSED' })
  t.strictSame(await ledger.erase(told), { ...receipt, repeated: true }, 'erased again')
  t.equal(ledger.size(), 2)
})

t.test('what must not be erased is refused, and nothing is recorded', async (t) => {
  const { ledger, folder } = await openTestLedger(t)
  const [event, own] = [private_(), draft({ writer: 'ledger' })]
  await ledger.append(request({ events: [event, own] }))
  const told = erasing([{ id: event.id, parts: ['data'] }])
  const refused = async (request: typeof told, code = 'REQUEST_INVALID') =>
    t.rejects(ledger.erase(request), { code })

  await refused(erasing([{ id: own.id, parts: ['data'] }]))
  await refused(erasing([{ id: draft().id, parts: ['data'] }]), 'EVENT_NOT_FOUND')
  await refused(erasing([{ id: event.id, parts: [] }]))
  await refused(erasing([{ id: event.id, parts: ['data'] }], { writer: 'client' }))
  await refused({ ...told, events: [...told.events, draft()] })
  await refused({ ...told, expected: 7 }, 'REVISION_CONFLICT')
  t.equal(ledger.size(), 2)
  t.ok((await ledger.find(event.id))?.data)
  await ledger.erase(told)
  await refused(erasing([{ id: told.events[0]?.id ?? '', parts: ['data'] }]))

  await ledger.close()
  t.match(await fsck({ folder }), { sound: true, events: 3, unfinishedErasure: null })
})

t.test('readers beside an erasure never meet a torn block', async (t) => {
  const { ledger } = await openTestLedger(t)
  const events = Array.from({ length: 20 }, () => draft({ data: new Uint8Array(200_000).fill(7) }))
  for (const event of events) await ledger.append(request({ events: [event] }))
  let done = false
  const readAll = async () => {
    let reads = 0
    while (!done) {
      for await (const { data } of ledger.readLog({ max: 20 }))
        if (data !== null && !data.bytes.every((byte) => byte === 7)) t.fail('half erased')
      reads += 1
    }
    return reads
  }
  const erase = async () => {
    for (const { id } of events) await ledger.erase(erasing([{ id, parts: ['data'] }]))
    done = true
  }

  const [reads] = await Promise.all([readAll(), readAll(), erase()])

  t.ok(reads > 0)
  for await (const { data } of ledger.readLog({ max: 20 })) t.equal(data, null)
})

t.test(
  'fsck names an erased block that no event tells of, and one told of but there',
  async (t) => {
    const { ledger, folder } = await openTestLedger(t)
    const [gone, there] = [private_(), private_()]
    await ledger.append(request({ events: [gone, there] }))
    const segment = await segmentOf(folder)
    const whole = await readFile(segment)
    await ledger.erase(erasing([{ id: there.id, parts: ['data'] }]))
    await ledger.close()
    const bytes = await readFile(segment)
    const places = [...bytes.toString('latin1').matchAll(/RECD/g)].map(({ index }) => index)

    const at = places[0] ?? 0
    const payloadAt = at + 24 + bytes.readUInt32LE(at + 4)
    const block = bytes.subarray(payloadAt, payloadAt + bytes.readUInt32LE(at + 8))
    const lengths = { data: gone.data.length, metadata: gone.metadata.length }
    for (const mark of [2, 1, 900]) {
      const forged = Buffer.from(bytes)
      forged.set(erasedPayload(block, lengths, { data: mark, metadata: null }), payloadAt)
      await writeFile(segment, forged)
      t.match(await fsck({ folder }), {
        sound: false,
        problems: [{ offset: at, position: 0, flaw: new RegExp(`no event at ${mark} tells`) }],
      })
    }
    const back = Buffer.from(bytes)
    back.set(whole.subarray(places[1], places[2]), places[1])
    await writeFile(segment, back)
    t.match(await fsck({ folder }), {
      sound: false,
      problems: [{ offset: places[2], position: 2, flaw: new RegExp(`${there.id} is erased`) }],
    })
  },
)

t.test('a note of an erasure without its event is thrown away', async (t) => {
  const { ledger, folder } = await openTestLedger(t)
  const event = private_()
  await ledger.append(request({ events: [event] }))
  await ledger.close()
  const path = join(folder, 'erasure')
  const target = {
    position: 0,
    segment: '0000000000000000.journal',
    offset: 64 + 28,
    data: 'erase',
    data_bytes: event.data.length,
    metadata: 'keep',
    metadata_bytes: event.metadata.length,
  }
  const text = { format: 'fractalops/erasure/1', event_id: draft().id, targets: [target] }
  await writeFile(path, JSON.stringify(text))

  const view = await openJournalReadOnly({ folder })
  t.ok((await view.find(event.id))?.data)
  await view.close()
  t.match(await fsck({ folder }), { sound: true, unfinishedErasure: text.event_id })
  const again = await openJournal({ folder, now })
  t.ok((await again.find(event.id))?.data)
  await again.close()
  t.match(await fsck({ folder }), { sound: true, unfinishedErasure: null })

  await writeFile(path, 'nonsense')
  await t.rejects(openJournal({ folder, now }), { code: 'DATA_FOLDER_INVALID' })
  t.equal((await fsck({ folder })).sound, false)
})
