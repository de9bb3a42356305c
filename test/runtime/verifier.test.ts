import { randomUUID } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { alarmCleared, alarmRaised, ledgerVerified } from '../../src/contracts/ledger.js'
import { nodeFiles } from '../../src/ledger/adapters/file-port.js'
import { createLedgerVerification } from '../../src/ledger/adapters/ledger-verification.js'
import { type JournalLedger, openJournal } from '../../src/ledger/adapters/open-journal.js'
import { openWitnessedStore } from '../../src/ledger/adapters/witnessed-checkpoints.js'
import { hexOf } from '../../src/ledger/encoding.js'
import { dataOf, isOf } from '../../src/ledger/facts.js'
import { root } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { createLedgerWriter } from '../../src/ledger/writers.js'
import { openAlarm } from '../../src/runtime/alarm.js'
import { latestOfType } from '../../src/runtime/own-events.js'
import { startVerifier, type VerifierRule } from '../../src/runtime/verifier.js'
import { collect, draft, request, temporaryFolder, wholeLog } from '../support/ledger.js'
import { eventually } from '../support/product.js'

const indexLimits = { flushEvents: 150, closingFlushEvents: 1, fanOut: 3, frozenMax: 2 }
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
const day = 86_400_000
const rule: VerifierRule = {
  passEveryMs: day,
  // The clock of a test stands still: what comes is read as soon as it is there.
  roundEveryMs: 0,
  startDelayMs: 1,
  roundLeavesMax: 250,
  bytesPerSecond: 1e9,
  shareMax: 1,
}

interface Clock {
  nowMs: number
}

async function open(t: Test, folder: string, clock: Clock): Promise<JournalLedger> {
  const ledger = await openJournal({
    folder,
    now: () => clock.nowMs,
    indexLimits,
    segmentBytesMax: 150_000,
    checkpointIntervalMs: 0,
  })
  t.teardown(() => ledger.close())
  return ledger
}

async function fill(ledger: JournalLedger, groups: number) {
  for (let i = 0; i < groups; i += 1) {
    const events = Array.from({ length: 10 }, () => draft({ type: `order.t${i % 3}` }))
    await ledger.append(request({ stream: `order-${i % 7}`, events }))
    // Rounds end at checkpoints: there shall be many.
    await ledger.checkpointCovering(ledger.size() - 1)
  }
}

async function start(t: Test, ledger: JournalLedger, folder: string, clock: Clock) {
  const common = {
    ledger,
    writer: createLedgerWriter(ledger),
    nowMs: () => clock.nowMs,
    newId: randomUUID,
    log: silent,
  }
  const verifier = startVerifier({
    ...common,
    rule,
    alarm: await openAlarm({ ...common, alarm: 'damage-found', actor: 'verifier' }),
    verification: createLedgerVerification({ files: ledger.files, folder }),
  })
  t.teardown(() => verifier.close())
  return verifier
}

/** Flips a bit of a file that others have open. */
async function flip(path: string, at: number) {
  const file = await nodeFiles.open(path, 'write')
  const byte = Buffer.alloc(1)
  await file.read(byte, at)
  byte[0] = (byte[0] ?? 0) ^ 4
  await file.write(byte, at)
  await file.close()
}

const verifiedOf = async (ledger: JournalLedger) =>
  (await wholeLog(ledger)).filter((event) => isOf(ledgerVerified, event))

const verifiedTo = (ledger: JournalLedger, size: number) =>
  eventually(`verified to ${size}`, async () =>
    (await verifiedOf(ledger)).some((event) => Number(dataOf(ledgerVerified, event)?.size) >= size)
      ? true
      : undefined,
  )

t.test('what was read once more is recorded with the root made anew, up to the end', async (t) => {
  const folder = await temporaryFolder(t)
  const clock = { nowMs: Date.UTC(2026, 0, 1) }
  const ledger = await open(t, folder, clock)
  await fill(ledger, 60)
  const verifier = await start(t, ledger, folder, clock)
  await verifiedTo(ledger, 600)

  const log = await wholeLog(ledger)
  const found = log.filter((event) => isOf(ledgerVerified, event))
  const data = found.map((event) => dataOf(ledgerVerified, event))
  t.ok(found.length >= 3, 'so many leaves are read before it is recorded how far it is')
  let from = '0'
  for (const one of data) {
    if (one === undefined) throw new Error('the data is there')
    t.equal(one.from, from)
    from = one.size
    const hashes = log.slice(0, Number(one.size)).map(({ leafHash }) => leafHash)
    t.equal(one.root, hexOf(root(nodeCrypto.sha256, hashes)))
  }
  t.match(data.at(-1), { whole: true, pass_began: '2026-01-01T00:00:00.000Z' })
  t.ok(Number(data.at(-1)?.index_through) >= 450)
  t.match(verifier.status(), { damage: null, atMs: clock.nowMs })
  t.ok(verifier.status().bytesRead > 300_000)
})

t.test('an idle ledger is read again, and its own events do not keep it awake', async (t) => {
  const folder = await temporaryFolder(t)
  const clock = { nowMs: Date.UTC(2026, 0, 1) }
  const ledger = await open(t, folder, clock)
  await fill(ledger, 20)
  const verifier = await start(t, ledger, folder, clock)
  await verifiedTo(ledger, 200)
  const { length } = await wholeLog(ledger)
  for (let passes = 0; passes < 3; passes += 1) {
    clock.nowMs += day
    const { bytesRead } = verifier.status()
    await eventually('another pass', () => {
      const status = verifier.status()
      return status.atMs === clock.nowMs && status.bytesRead > bytesRead ? true : undefined
    })
  }
  t.equal((await wholeLog(ledger)).length, length, 'nothing more was recorded')

  await fill(ledger, 1)
  await verifiedTo(ledger, length + 10)
  t.equal((await verifiedOf(ledger)).length, 2)
})

t.test('a start goes on from what was recorded last', async (t) => {
  const folder = await temporaryFolder(t)
  const clock = { nowMs: Date.UTC(2026, 0, 1) }
  let ledger = await open(t, folder, clock)
  await fill(ledger, 60)
  let verifier = await start(t, ledger, folder, clock)
  await eventually('the first round', async () =>
    (await verifiedOf(ledger)).length > 0 ? true : undefined,
  )
  await verifier.close()
  const before = await verifiedOf(ledger)
  const last = dataOf(ledgerVerified, before.at(-1) ?? (await wholeLog(ledger))[0]!)
  await ledger.close()

  ledger = await open(t, folder, clock)
  await fill(ledger, 40)
  verifier = await start(t, ledger, folder, clock)
  await verifiedTo(ledger, 1_000)
  const after = (await verifiedOf(ledger)).slice(before.length)
  t.equal(dataOf(ledgerVerified, after[0]!)?.from, last?.size)
  t.equal(verifier.status().damage, null)
})

t.test(
  'damage of every kind raises an alarm with its place, which a whole clean pass clears',
  async (t) => {
    const folder = await temporaryFolder(t)
    const clock = { nowMs: Date.UTC(2026, 0, 1) }
    const ledger = await open(t, folder, clock)
    await fill(ledger, 60)
    const store = await openWitnessedStore(folder, ledger.origin, () => undefined)
    await store.append(ledger.checkpoint())
    await store.close()
    await eventually('the index is written', async () =>
      (await readdir(join(folder, 'index'))).includes('tiles-0') ? true : undefined,
    )
    const verifier = await start(t, ledger, folder, clock)
    await verifiedTo(ledger, 600)
    const [segment = ''] = await readdir(join(folder, 'journal'))
    const run = (await readdir(join(folder, 'index'))).find((name) => name.endsWith('.run')) ?? ''
    // The whole log cannot be read while it is damaged.
    const alarms = async () =>
      [
        ...(await collect(latestOfType(ledger, alarmRaised.type))),
        ...(await collect(latestOfType(ledger, alarmCleared.type))),
      ].sort((one, other) => one.position - other.position)

    for (const [file, at] of [
      [`journal/${segment}`, 9_000],
      ['index/places', 64 + 32 * 70 + 5],
      ['index/tiles-0', 64 + 32 * 9],
      [`index/${run}`, 4_096 + 60],
      ['index/manifest', 40],
      ['checkpoints', 40],
      ['witnessed', 40],
    ] as const) {
      const before = (await alarms()).length
      const path = join(folder, file)
      await flip(path, at)
      clock.nowMs += day
      const raised = await eventually(
        `the alarm about ${file}`,
        async () => (await alarms())[before],
      )
      t.match(dataOf(alarmRaised, raised), { alarm: 'damage-found', place: { file } }, file)
      t.equal(raised.leaf.actor, 'verifier')
      t.equal(verifier.status().damage?.first.file, file)
      await ledger.append(request())

      await flip(path, at)
      clock.nowMs += day
      const cleared = await eventually('it is cleared', async () => (await alarms())[before + 1])
      t.ok(isOf(alarmCleared, cleared))
      t.equal(verifier.status().damage, null)
    }
    t.equal(ledger.readOnly(), null)
  },
)

t.test('an alarm stands over a restart, and is raised once', async (t) => {
  const folder = await temporaryFolder(t)
  const clock = { nowMs: Date.UTC(2026, 0, 1) }
  let ledger = await open(t, folder, clock)
  await fill(ledger, 60)
  await ledger.close()
  const path = join(folder, 'index', 'tiles-0')
  const bytes = await readFile(path)
  const changed = Buffer.from(bytes)
  changed[500] = (changed[500] ?? 0) ^ 1
  await writeFile(path, changed)

  for (const round of [1, 2]) {
    ledger = await open(t, folder, clock)
    const verifier = await start(t, ledger, folder, clock)
    if (round === 2) t.match(verifier.status().damage, { first: { file: 'index/tiles-0' } })
    await eventually('damage', () => verifier.status().damage ?? undefined)
    await eventually('the pass', () => (verifier.status().passSize >= 600 ? true : undefined))
    clock.nowMs += day
    await verifier.close()
    const raised = (await wholeLog(ledger)).filter((event) => isOf(alarmRaised, event))
    t.equal(raised.length, 1)
    await ledger.close()
  }
})

t.test('payloads that are erased meanwhile are no damage, and appends go on', async (t) => {
  const folder = await temporaryFolder(t)
  const clock = { nowMs: Date.UTC(2026, 0, 1) }
  const ledger = await open(t, folder, clock)
  const events = Array.from({ length: 40 }, () => draft())
  await ledger.append(request({ events }))
  await fill(ledger, 40)
  const verifier = await start(t, ledger, folder, clock)
  for (const { id } of events) {
    await ledger.erase(
      request({
        stream: 'evidence-x',
        events: [
          draft({
            writer: 'activity',
            data: Buffer.from(JSON.stringify({ erasures: [{ id, parts: ['data'] }] })),
          }),
        ],
      }),
    )
    clock.nowMs += day
    await fill(ledger, 1)
  }
  const { nowMs } = clock
  await eventually('a pass', () => (verifier.status().atMs === nowMs ? true : undefined))
  t.equal(verifier.status().damage, null)
  t.strictSame(
    (await wholeLog(ledger)).filter((event) => isOf(alarmRaised, event)),
    [],
  )
})
