import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { headsSealed } from '../../src/contracts/ledger.js'
import { nodeFiles } from '../../src/ledger/adapters/file-port.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { openHeadsStore } from '../../src/ledger/adapters/heads-store.js'
import { type JournalLedger, openJournal } from '../../src/ledger/adapters/open-journal.js'
import { bytesOfHex, hexOf } from '../../src/ledger/encoding.js'
import type { RecordedEvent } from '../../src/ledger/event-store.js'
import { dataOf, fact } from '../../src/ledger/facts.js'
import { type Head, headKey, headsRoot, verifyHead } from '../../src/ledger/heads.js'
import { createHeadsMap } from '../../src/ledger/heads-map.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { createSealReplay } from '../../src/ledger/seal-replay.js'
import { createHeadSealing } from '../../src/ledger/sealed-heads.js'
import { isSealDue, sealRule } from '../../src/ledger/seals.js'
import { ledgerStreamOf } from '../../src/ledger/stream-name.js'
import { createLedgerWriter } from '../../src/ledger/writers.js'
import { openAlarm } from '../../src/runtime/alarm.js'
import { startHeadSealer } from '../../src/runtime/head-sealer.js'
import { draft, openTestLedger, request, temporaryFolder, wholeLog } from '../support/ledger.js'
import { eventually } from '../support/product.js'

const { sha256 } = nodeCrypto
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

async function openMap(t: Test, path: string) {
  const store = await openHeadsStore({ files: nodeFiles, origin: 'example.org/ledger', path })
  t.teardown(() => store.close())
  return createHeadsMap({ sha256, store, nextTurn: () => nextTurn() })
}

const sealsOf = (log: readonly RecordedEvent[]) =>
  log.filter(({ leaf }) => leaf.type === headsSealed.type)

/** The heads of the first leaves, straight from the log. */
function headsBelow(log: readonly RecordedEvent[], size: number): Head[] {
  const heads = new Map<string, Head>()
  for (const { leaf, leafHash } of log.slice(0, size)) {
    for (const [kind, name, number] of [
      ['stream', leaf.stream, leaf.revision],
      ['type', leaf.type, leaf.type_seq],
    ] as const) {
      const key = headKey(sha256, kind, leaf.project, name)
      heads.set(hexOf(key), { key, number: Number(number), leafHash })
    }
  }
  return [...heads].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, head]) => head)
}

/** A sealer whose clock is that of the ledger and which seals as soon as a leaf is a minute old. */
async function startSealer(
  t: Test,
  ledger: JournalLedger,
  clock: { nowMs: number },
  rule = sealRule,
  folder?: string,
) {
  const map = await openMap(t, join(folder ?? (await temporaryFolder(t)), 'heads'))
  const sealer = startHeadSealer({
    ledger,
    writer: createLedgerWriter(ledger),
    map,
    now: () => clock.nowMs,
    newId: randomUUID,
    log: silent,
    rule,
  })
  t.teardown(() => sealer.close())
  const count = async () => sealsOf(await wholeLog(ledger)).length
  return {
    sealer,
    sealed: (seals: number) =>
      eventually(`${seals} seals`, async () => {
        sealer.look()
        return (await count()) >= seals ? true : undefined
      }),
  }
}

t.test(
  'a seal is due after so many leaves or so much time, and never on an idle ledger',
  async (t) => {
    const rule = { leavesMax: 100, delayMsMax: 60_000 }
    t.equal(isSealDue(rule, { leaves: 99, oldestMs: 1_000 }, 60_999), false)
    t.equal(isSealDue(rule, { leaves: 99, oldestMs: 1_000 }, 61_000), true)
    t.equal(isSealDue(rule, { leaves: 100, oldestMs: 1_000 }, 1_000), true)
    t.equal(isSealDue(rule, { leaves: 100, oldestMs: undefined }, 1e12), false)
  },
)

t.test(
  'a seal carries the map of exactly the leaves it says it covers, and names the one before',
  async (t) => {
    const { ledger, clock } = await openTestLedger(t)
    await ledger.append(
      request({ stream: 'order-1', events: [draft(), draft({ type: 'order.paid' })] }),
    )
    await ledger.append(request({ stream: 'order-2' }))
    const { sealed, sealer } = await startSealer(t, ledger, clock)
    clock.nowMs += 60_000
    await sealed(1)
    await ledger.append(request({ stream: 'order-2', project: 'other' }))
    clock.nowMs += 60_000
    await sealed(2)

    const log = await wholeLog(ledger)
    const [first, second] = sealsOf(log)
    if (first === undefined || second === undefined) throw new Error('two seals are there')
    t.strictSame(dataOf(headsSealed, first), {
      size: '3',
      root: hexOf(headsRoot(sha256, headsBelow(log, 3))),
      streams: '2',
      previous: null,
    })
    t.strictSame(dataOf(headsSealed, second), {
      size: '5',
      root: hexOf(headsRoot(sha256, headsBelow(log, 5))),
      streams: '4',
      previous: { position: '3', leaf_hash: hexOf(first.leafHash) },
    })
    t.match(second.leaf, { writer: 'ledger', stream: ledgerStreamOf(sha256, ledger.origin) })

    const proven = await sealer.heads.prove('stream', 'default', 'order-1')
    const absent = await sealer.heads.prove('stream', 'default', 'order-9')
    const paid = await sealer.heads.prove('type', 'default', 'order.paid')
    const root = bytesOfHex(proven?.seal.root ?? '')
    for (const [kind, name, one] of [
      ['stream', 'order-1', proven],
      ['stream', 'order-9', absent],
      ['type', 'order.paid', paid],
    ] as const) {
      if (one === undefined) throw new Error('the heads are sealed')
      verifyHead(sha256, root, headKey(sha256, kind, 'default', name), one.head, one.proof)
    }
    t.match([proven?.head?.number, absent?.head, paid?.head?.number], [1, null, 0])
  },
)

t.test('an idle ledger is not sealed: not after a seal, not for events of its own', async (t) => {
  const { ledger, clock } = await openTestLedger(t)
  const { sealed, sealer } = await startSealer(t, ledger, clock)
  clock.nowMs += 3_600_000
  await ledger.append(request())
  clock.nowMs += 60_000
  await sealed(1)
  clock.nowMs += 3_600_000
  sealer.look()
  await sealer.heads.prove('stream', 'default', 'order-1')

  t.equal(sealsOf(await wholeLog(ledger)).length, 1)
})

t.test('under load a seal follows after so many leaves, whatever the clock says', async (t) => {
  const { ledger, clock } = await openTestLedger(t)
  const { sealed } = await startSealer(t, ledger, clock, { leavesMax: 50, delayMsMax: 60_000 })
  for (let i = 0; i < 60; i += 1) await ledger.append(request({ stream: `order-${i % 7}` }))
  await sealed(1)

  t.ok(Number(dataOf(headsSealed, sealsOf(await wholeLog(ledger))[0] as RecordedEvent)?.size) >= 50)
})

t.test('a map that is older, newer, damaged or lost gives the same next seal', async (t) => {
  const { ledger, clock, folder } = await openTestLedger(t)
  const scratch = await temporaryFolder(t)
  const path = join(scratch, 'heads')
  const keptAt: Uint8Array[] = []
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 5; i += 1) await ledger.append(request({ stream: `order-${round}-${i}` }))
    const { sealed, sealer } = await startSealer(t, ledger, clock, sealRule, scratch)
    clock.nowMs += 60_000
    await sealed(round + 1)
    await sealer.close()
    const map = await openMap(t, path)
    for (const event of await wholeLog(ledger)) {
      if (event.position >= map.position && event.position < ledger.size() - (round === 1 ? 0 : 1))
        map.add(event)
    }
    await map.keep('always')
    keptAt.push((await nodeFiles.readWhole(path)) ?? new Uint8Array())
  }
  for (const bytes of [
    ...keptAt,
    keptAt[2]?.map((byte, at) => (at === 200_000 ? byte ^ 1 : byte)),
  ]) {
    await nodeFiles.remove(path)
    if (bytes !== undefined) {
      const file = await nodeFiles.open(path, 'create')
      await file.write(bytes, 0)
      await file.close()
    }
    const before = sealsOf(await wholeLog(ledger)).length
    await ledger.append(request({ stream: 'order-more' }))
    const { sealed, sealer } = await startSealer(t, ledger, clock, sealRule, scratch)
    clock.nowMs += 60_000
    await sealed(before + 1)
    await sealer.close()
  }
  await ledger.close()

  const report = await fsck({ folder })
  t.match(report, { sound: true, problems: [], seals: 7 })
})

/** A ledger with a seal that says something else than its leaves do. */
async function wronglySealed(t: Test, change: (data: Record<string, unknown>) => object) {
  const { ledger, folder, clock } = await openTestLedger(t)
  for (let i = 0; i < 5; i += 1) await ledger.append(request({ stream: `order-${i}` }))
  const { sealed, sealer } = await startSealer(t, ledger, clock)
  clock.nowMs += 60_000
  await sealed(1)
  await sealer.close()
  await ledger.append(request({ stream: 'order-0' }))
  const log = await wholeLog(ledger)
  const [seal] = sealsOf(log)
  const right = {
    size: '7',
    root: hexOf(headsRoot(sha256, headsBelow(log, 7))),
    streams: '6',
    previous: { position: '5', leaf_hash: hexOf(seal?.leafHash ?? new Uint8Array()) },
  }
  const data = headsSealed.schema.parse({ ...right, ...change(right) })
  await createLedgerWriter(ledger).record({
    project: 'default',
    stream: ledgerStreamOf(sha256, ledger.origin),
    expected: 'any',
    actor: 'ledger',
    facts: [fact(headsSealed, randomUUID(), data)],
  })
  await ledger.close()
  return folder
}

t.test(
  'fsck names a seal whose root, size, streams or predecessor is wrong, with its place',
  async (t) => {
    const cases: [string, (data: Record<string, unknown>) => object, RegExp | null][] = [
      ['right', () => ({}), null],
      [
        'root',
        () => ({ root: 'a'.repeat(64) }),
        /names the root a{64}, the heads of the first 7 leaves/,
      ],
      ['older root', () => ({ size: '6' }), /names the root/],
      ['streams', () => ({ streams: '5' }), /names 5 streams, the first 7 leaves have 6/],
      ['beyond itself', () => ({ size: '8' }), /at position 7 says that it covers 8 leaves/],
      ['smaller', () => ({ size: '4' }), /covers 4 leaves, the one before it 5/],
      ['previous', () => ({ previous: null }), /does not name the seal before it/],
      [
        'other previous',
        () => ({ previous: { position: '5', leaf_hash: 'b'.repeat(64) } }),
        /does not name the seal before it/,
      ],
    ]
    for (const [name, change, flaw] of cases) {
      const report = await fsck({ folder: await wronglySealed(t, change) })
      t.equal(report.sound, flaw === null, name)
      t.equal(report.seals, 2)
      if (flaw !== null) t.match(report.problems, [{ position: 7, flaw }], name)
    }
  },
)

t.test('anybody who has the leaves can replay the seals; the sealer is not asked', async (t) => {
  const { ledger, clock, folder } = await openTestLedger(t)
  const { sealed } = await startSealer(t, ledger, clock, { leavesMax: 10, delayMsMax: 60_000 })
  for (let round = 1; round <= 4; round += 1) {
    for (let i = 0; i < 12; i += 1) await ledger.append(request({ stream: `order-${i % round}` }))
    await sealed(round)
  }
  const told: string[] = []
  const replay = createSealReplay(
    sha256,
    ledger.origin,
    await openMap(t, join(await temporaryFolder(t), 'heads')),
  )
  for (const event of await wholeLog(ledger)) {
    replay.add(event)
    await replay.compare((position, flaw) => told.push(`${position}: ${flaw}`))
  }

  t.strictSame(told, [])
  t.ok(replay.seals >= 4)
  await ledger.close()
  const again = await openJournal({ folder, now: () => clock.nowMs })
  await again.close()
})

t.test(
  'a sealer that is overtaken by appends takes them in: its seal is never wrong',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    for (let i = 0; i < 10; i += 1) await ledger.append(request())
    const map = await openMap(t, join(await temporaryFolder(t), 'heads'))
    let overtaken = 0
    const sealing = createHeadSealing({
      sha256,
      origin: ledger.origin,
      reader: ledger,
      // Others append while the map is hashed.
      map: {
        ...map,
        get position() {
          return map.position
        },
        get streams() {
          return map.streams
        },
        async root() {
          const root = await map.root()
          if (ledger.size() < 40) {
            overtaken += 1
            for (let i = 0; i < 10; i += 1) await ledger.append(request())
          }
          return root
        },
      },
      rule: { leavesMax: 1, delayMsMax: 0, lagMax: 5 },
      onMismatch: () => t.fail('there is a mismatch'),
      async record(data) {
        const id = randomUUID()
        await createLedgerWriter(ledger).record({
          project: 'default',
          stream: ledgerStreamOf(sha256, ledger.origin),
          expected: 'any',
          actor: 'ledger',
          facts: [fact(headsSealed, id, data)],
        })
        return id
      },
    })
    const seal = await sealing.sealIfDue(Number.MAX_SAFE_INTEGER)

    t.ok(overtaken > 1)
    t.match(seal, { size: 40, position: 40 })
  },
)

t.test('a seal that does not name its heads raises an alarm at the start, once', async (t) => {
  const folder = await wronglySealed(t, () => ({ root: 'a'.repeat(64) }))
  const { ledger, clock } = await openTestLedger(t, { folder })
  const alarms = async () =>
    (await wholeLog(ledger)).filter(({ leaf }) => leaf.type === 'ledger.alarm-raised')
  for (let starts = 0; starts < 2; starts += 1) {
    const writer = createLedgerWriter(ledger)
    const common = { ledger, writer, nowMs: () => clock.nowMs, newId: randomUUID, log: silent }
    const sealer = startHeadSealer({
      ...common,
      map: await openMap(t, join(await temporaryFolder(t), 'heads')),
      now: () => clock.nowMs,
      alarm: await openAlarm({ ...common, alarm: 'seal-not-reconciled', actor: 'sealer' }),
    })
    await sealer.heads.prove('stream', 'default', 'order-1')
    await eventually('the alarm', async () => ((await alarms()).length > 0 ? true : undefined))
    await sealer.close()
  }
  t.match(
    (await alarms()).map(({ leaf }) => leaf.actor),
    ['sealer'],
  )
})
