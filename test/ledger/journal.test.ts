import { chmod, copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { ledgerStream } from '../../src/ledger/adapters/ledger-clock.js'
import { openJournal, openJournalReadOnly } from '../../src/ledger/adapters/open-journal.js'
import { utf8 } from '../../src/ledger/encoding.js'
import { eventStoreConformance } from '../integration/shared/event-store.js'
import {
  closedLedger,
  collect,
  draft,
  journalFiles,
  openTestLedger,
  request,
  temporaryFolder,
  wholeLog,
} from '../support/ledger.js'

eventStoreConformance(t, async (t) => (await openTestLedger(t)).ledger)

const now = () => Date.UTC(2026, 0, 2)

t.test('a ledger that was closed is the same when it is opened again', async (t) => {
  const { ledger, folder } = await openTestLedger(t, { segmentBytesMax: 4_000 })
  for (let i = 0; i < 40; i += 1) await ledger.append(request({ stream: `order-${i % 3}` }))
  const before = await wholeLog(ledger)
  const checkpoint = await ledger.checkpointCovering(39)
  await ledger.close()

  const again = await openJournal({ folder, now })
  t.teardown(() => again.close())

  t.ok((await journalFiles(folder)).length > 3)
  t.strictSame(await wholeLog(again), before)
  t.strictSame(again.checkpoint(), checkpoint)
  t.equal(again.cut, null)
  t.equal((await again.append(request({ stream: 'order-0', expected: 13 })))[0]?.position, 40)
})

t.test('two processes cannot write one folder, and the message names the holder', async (t) => {
  const { folder } = await openTestLedger(t)

  await t.rejects(openJournal({ folder, now }), {
    code: 'LEDGER_LOCKED',
    message: new RegExp(`process ${process.pid}`),
  })
  await t.rejects(openJournalReadOnly({ folder }), { code: 'LEDGER_LOCKED' })
  await t.rejects(fsck({ folder }), { code: 'LEDGER_LOCKED' })
})

t.test('a closed ledger can be looked at, proven and checked by several readers', async (t) => {
  const folder = await closedLedger(t)
  const [view, other] = await Promise.all([
    openJournalReadOnly({ folder }),
    openJournalReadOnly({ folder }),
  ])
  t.teardown(() => Promise.all([view.close(), other.close()]))

  t.equal((await collect(view.readLog())).length, 10)
  t.equal(view.checkpoint().size, 10)
  t.equal((await view.proveInclusion(3, 10)).length, 4)
  await t.rejects(openJournal({ folder, now }), { code: 'LEDGER_LOCKED' })
  t.match(await fsck({ folder }), { sound: true, events: 10, problems: [], tornTail: null })
})

t.test('the origin is fixed, and the key must stay the same and private', async (t) => {
  const folder = await closedLedger(t)
  const key = join(folder, 'checkpoint.key')

  await t.rejects(openJournal({ folder, now, origin: 'example.org/other' }), {
    code: 'DATA_FOLDER_INVALID',
  })
  await chmod(key, 0o644)
  await t.rejects(openJournal({ folder, now }), { code: 'KEY_FILE_INVALID', message: /0644/ })
  await chmod(key, 0o600)
  await copyFile(key, `${key}.kept`)
  await writeFile(key, 'nonsense\n')
  await t.rejects(openJournal({ folder, now }), { code: 'KEY_FILE_INVALID' })
  await copyFile(`${key}.kept`, key)
  await (await openJournal({ folder, now })).close()
})

t.test('a folder of something else is not taken for a ledger', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'holiday.jpg'), 'x')

  await t.rejects(openJournal({ folder, now }), {
    code: 'DATA_FOLDER_INVALID',
    message: /holiday\.jpg/,
  })
})

t.test(
  'when the clock steps back, ledger time holds and one alarm stands until it has passed',
  async (t) => {
    const changes: string[] = []
    const { ledger, clock, folder } = await openTestLedger(t, {
      onAlarm: (_alarm, change) => changes.push(change),
    })
    const start = clock.nowMs
    await ledger.append(request())
    clock.nowMs = start - 5_000
    await ledger.append(request())
    await ledger.append(request())
    t.match(ledger.alarms(), [{ alarm: 'clock-stepped-back', message: /5000 ms/ }])
    await ledger.close()

    const again = await openJournal({ folder, now: () => clock.nowMs })
    t.teardown(() => again.close())
    t.equal(again.alarms().length, 1)
    await again.append(request())
    clock.nowMs = start + 1
    await again.append(request())

    const log = await wholeLog(again)
    const ledgerEvents = log.filter(({ leaf }) => leaf.stream === ledgerStream(again.origin))
    t.strictSame(
      ledgerEvents.map(({ leaf }) => leaf.type),
      ['ledger.alarm-raised', 'ledger.alarm-cleared'],
    )
    t.strictSame(
      ledgerEvents.map(({ leaf }) => leaf.writer),
      ['ledger', 'ledger'],
    )
    t.strictSame(changes, ['raised'])
    t.strictSame(again.alarms(), [])
    t.strictSame(
      log.map(({ leaf }) => leaf.time),
      log.map(({ leaf }) => leaf.time).sort(),
    )
  },
)

t.test('what waits is bounded: beyond the bound callers are told to come again', async (t) => {
  const { ledger } = await openTestLedger(t)
  const batch = () => Array.from({ length: 1_000 }, () => draft())

  const results = await Promise.allSettled(
    Array.from({ length: 67 }, (_, i) =>
      ledger.append(request({ stream: `order-${i}`, events: batch() })),
    ),
  )

  const refused = results.filter(({ status }) => status === 'rejected')
  t.strictSame(
    refused.map((result) => ('reason' in result ? (result.reason as { code: string }).code : '')),
    ['LEDGER_BUSY', 'LEDGER_BUSY'],
  )
  t.equal(ledger.size(), 65_000)
})

t.test('closing answers what waits and ends subscriptions', async (t) => {
  const { ledger } = await openTestLedger(t)
  const followed = collect(ledger.subscribe({ from: 0, signal: new AbortController().signal }))
  const appended = ledger.append(request())
  await ledger.close()

  t.equal((await appended).length, 1)
  t.ok(Array.isArray(await followed))
  await t.rejects(ledger.append(request()), { code: 'SERVICE_NOT_RUNNING' })
})

t.test(
  'expected revisions and ids behave as in the model, however requests are grouped',
  async (t) => {
    const ids = Array.from({ length: 6 }, (_, i) => `00000000-0000-4000-8000-00000000000${i}`)
    const step = fc.record({
      stream: fc.constantFrom('order-1', 'order-2'),
      expected: fc.constantFrom<'any' | 'none' | 'exists' | number>(
        'any',
        'none',
        'exists',
        0,
        1,
        2,
      ),
      ids: fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1, maxLength: 3 }),
      content: fc.constantFrom('a', 'b'),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }),
        async (groups) => {
          const folder = await temporaryFolder(t)
          const ledger = await openJournal({ folder, now })
          const taken = new Map<string, string>()
          const sizes = new Map<string, number>()
          const model = ({
            stream,
            expected,
            ids,
            content,
          }: (typeof groups)[number][number]): string => {
            const known = ids.filter((id) => taken.has(id))
            if (known.length > 0) {
              const same = ids.every((id) => taken.get(id)?.startsWith(`${stream} ${content} `))
              return same ? ids.map((id) => taken.get(id)?.split(' ')[2]).join() : 'EVENT_ID_REUSED'
            }
            const size = sizes.get(stream) ?? 0
            const holds =
              expected === 'any' ||
              (expected === 'none'
                ? size === 0
                : expected === 'exists'
                  ? size > 0
                  : expected === size - 1)
            if (!holds) return 'REVISION_CONFLICT'
            ids.forEach((id, i) => taken.set(id, `${stream} ${content} ${size + i}`))
            sizes.set(stream, size + ids.length)
            return ids.map((_, i) => size + i).join()
          }
          for (const group of groups) {
            const answers = await Promise.all(
              group.map(({ stream, expected, ids, content }) =>
                ledger
                  .append(
                    request({
                      stream,
                      expected,
                      events: ids.map((id) => draft({ id, data: utf8(content) })),
                    }),
                  )
                  .then(
                    (receipts) => receipts.map(({ revision }) => revision).join(),
                    (error: unknown) =>
                      error instanceof EvidenceError ? error.code : String(error),
                  ),
              ),
            )
            const expected = group.map(model)
            if (answers.join(' ') !== expected.join(' '))
              throw new Error(`${answers.join(' ')} instead of ${expected.join(' ')}`)
          }
          await ledger.close()
          if (!(await fsck({ folder })).sound) throw new Error('fsck finds flaws')
        },
      ),
      { numRuns: 40 },
    )
  },
)
