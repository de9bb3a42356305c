import { writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { catalog } from '../../src/contracts/catalog.js'
import { reserveFile } from '../../src/ledger/adapters/disk-reserve.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import type { IndexLimits } from '../../src/ledger/adapters/index-flush.js'
import { openJournal } from '../../src/ledger/adapters/open-journal.js'
import { utf8 } from '../../src/ledger/encoding.js'
import type { EventStore } from '../../src/ledger/event-store.js'
import { draft, request, temporaryFolder } from '../support/ledger.js'
import { eventually } from '../support/product.js'
import { mountSmallDisk, noSmallDisk } from '../support/small-disk.js'

const now = () => Date.UTC(2026, 0, 2)
const mib = 1024 * 1024
const reserveBytes = 2 * mib

const outcome = (bytes = 1_000) =>
  request({
    stream: 'asset-web-01',
    events: [
      draft({
        type: 'asset.mutated',
        version: '1',
        writer: 'activity',
        data: utf8('x'.repeat(bytes)),
      }),
    ],
  })
const intent = () =>
  request({
    stream: 'asset-web-01',
    events: [draft({ type: 'asset.mutation-intended', version: '1', writer: 'activity' })],
  })
const full = { code: 'DISK_FULL' }

/** Takes what is left of the disk, as another program would. */
function takeTheRest(folder: string): void {
  for (const size of [mib, 4_096]) {
    for (let i = 0; ; i += 1) {
      try {
        writeFileSync(join(folder, `other-${size}-${i}`), Buffer.alloc(size, 1))
      } catch {
        break
      }
    }
  }
}

async function fullLedger(t: Test, indexLimits: Partial<IndexLimits> = {}) {
  const folder = join(await temporaryFolder(t), 'disk')
  const disk = mountSmallDisk(t, folder, 6 * 1024)
  const ledgerFolder = join(folder, 'ledger')
  const open = () => openJournal({ folder: ledgerFolder, now, reserveBytes, indexLimits })
  const ledger = await open()
  t.teardown(() => ledger.close())
  const first = intent()
  await ledger.append(first)
  takeTheRest(folder)
  return { ledger, ledgerFolder, disk, open, first }
}

/** Appends ordinary events until the disk is full. */
async function fillUp(ledger: EventStore): Promise<void> {
  for (;;) await ledger.append(request({ events: [draft({ data: utf8('x'.repeat(8_192)) })] }))
}

t.test(
  'on a full disk outcomes of what has begun are recorded still, and nothing else',
  { skip: noSmallDisk },
  async (t) => {
    const { ledger, ledgerFolder, disk, first } = await fullLedger(t)
    t.equal(ledger.lacksSpace(), null)
    await t.rejects(fillUp(ledger), full)

    for (let i = 0; i < 40; i += 1) await ledger.append(outcome(8_192))
    await t.rejects(ledger.append(intent()), full)
    await t.rejects(ledger.append(request()), { ...full, message: /kept for outcomes/ })
    const forged = draft({ type: 'asset.mutated', writer: 'client' })
    await t.rejects(ledger.append(request({ events: [forged] })), full)
    const mixed = { ...outcome(), events: [...outcome().events, ...intent().events] }
    await t.rejects(ledger.append(mixed), full, 'what is together needs the right as a whole')
    await ledger.append(request({ stream: 'ledger-x', events: [draft({ writer: 'ledger' })] }))
    t.match(await ledger.append(first), [{ repeated: true }], 'what is known is answered')
    t.ok((await stat(join(ledgerFolder, reserveFile))).size < reserveBytes)
    t.equal(ledger.readOnly(), null)
    t.match(ledger.lacksSpace(), full)
    const size = ledger.size()
    t.ok((await ledger.checkpointCovering(size - 1)).size >= size, 'and has its checkpoint')

    disk.resize(20 * 1024)
    await eventually('the reserve is whole', () => ledger.append(intent()))
    t.equal((await stat(join(ledgerFolder, reserveFile))).size, reserveBytes, 'whole again')
    t.equal(ledger.lacksSpace(), null)
    await ledger.close()
    t.match(await fsck({ folder: ledgerFolder }), { sound: true, events: size + 1 })
  },
)

t.test(
  'outcomes are recorded on a full disk while their index must be written, too',
  { skip: noSmallDisk },
  async (t) => {
    const often = { flushEvents: 8, closingFlushEvents: 1, fanOut: 3, frozenMax: 2 }
    const { ledger, ledgerFolder, open } = await fullLedger(t, often)
    await t.rejects(fillUp(ledger), full)

    for (let i = 0; i < 60; i += 1) await ledger.append(outcome(2_048))
    t.equal(ledger.readOnly(), null)
    await ledger.close()
    const again = await open()
    t.teardown(() => again.close())
    await again.append(outcome())
    t.equal(again.readOnly(), null)
    await again.close()
    t.match(await fsck({ folder: ledgerFolder }), { sound: true, tornTail: null })
  },
)

t.test('a start on a full disk takes outcomes', { skip: noSmallDisk }, async (t) => {
  const { ledger, ledgerFolder, open } = await fullLedger(t)
  await t.rejects(fillUp(ledger), full)
  await ledger.append(outcome(16_384))
  await ledger.close()

  const again = await open()
  t.teardown(() => again.close())
  await t.rejects(again.append(intent()), full)
  await again.append(outcome())
  t.ok((await again.checkpointCovering(again.size() - 1)).size === again.size())
  await again.close()
  t.match(await fsck({ folder: ledgerFolder }), { sound: true, tornTail: null })
})

t.test(
  'when the reserve is used up too, outcomes are refused and nothing is damaged',
  {
    skip: noSmallDisk,
  },
  async (t) => {
    const { ledger, ledgerFolder } = await fullLedger(t)
    let taken = 0
    const useUp = async () => {
      for (;;) {
        await ledger.append(outcome(60_000))
        taken += 1
      }
    }

    await t.rejects(useUp(), full)

    t.ok(taken >= 20, `${taken} outcomes were taken`)
    t.equal(ledger.readOnly(), null)
    t.equal((await stat(join(ledgerFolder, reserveFile))).size, 0)
    await ledger.close().catch((error: unknown) => t.match(error, full))
    t.match(await fsck({ folder: ledgerFolder }), { sound: true, events: taken + 1 })
  },
)

t.test(
  'a disk without room for the reserve takes the own events of the ledger only',
  {
    skip: noSmallDisk,
  },
  async (t) => {
    const folder = join(await temporaryFolder(t), 'disk')
    mountSmallDisk(t, folder, 1024)
    const ledger = await openJournal({ folder, now, reserveBytes })
    t.teardown(() => ledger.close())

    await t.rejects(ledger.append(request()), full)
    await ledger.append(request({ stream: 'ledger-x', events: [draft({ writer: 'ledger' })] }))
  },
)

t.test('the contracts that may use the reserve tell how something ended', (t) => {
  t.strictSame(
    catalog
      .filter(({ fromReserve }) => fromReserve)
      .map(({ type }) => type)
      .sort(),
    [
      'asset.mutated',
      'asset.mutation-failed',
      'asset.mutation-indeterminate',
      'asset.resolved',
      'evidence.captured',
      'proposal.cancelled',
      'proposal.completed',
      'proposal.expired',
      'proposal.failed',
      'workflow.completed',
      'workflow.failed',
      'workflow.step-finished',
    ],
  )
  t.end()
})
