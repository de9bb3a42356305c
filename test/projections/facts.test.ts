import { randomUUID } from 'node:crypto'
import t from 'tap'
import { projectionStalled } from '../../src/contracts/projection.js'
import { dataOf } from '../../src/ledger/facts.js'
import { createLedgerWriter } from '../../src/ledger/writers.js'
import { createStalledRecord } from '../../src/runtime/stalled-record.js'
import type { EventStore, ProofSource } from '../../src/ledger/event-store.js'
import { hexOf, utf8 } from '../../src/ledger/encoding.js'
import type { Projector } from '../../src/projections/projector.js'
import { projectors } from '../../src/projections/tables.js'
import { followFacts, rebuildFacts } from '../../src/runtime/project.js'
import { appendEveryContract } from '../support/contracts.js'
import { draft, openTestLedger, request } from '../support/ledger.js'
import { eventually } from '../support/product.js'
import { factDump, openTestWarehouse } from '../support/warehouse.js'

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

const appendMany = async (ledger: EventStore, count: number) => {
  for (let i = 0; i < count; i += 50) {
    await ledger.append(
      request({
        stream: `order-${i}`,
        events: Array.from({ length: Math.min(50, count - i) }, () => draft()),
      }),
    )
  }
}

const coveredBy = async (proofs: ProofSource & EventStore) => {
  await proofs.checkpointCovering(proofs.size() - 1)
  return proofs.checkpoint().size
}

t.test('the ledger folds into fact tables', async (t) => {
  const { ledger } = await openTestLedger(t)
  const { warehouse, running } = await openTestWarehouse(t)
  const ending = new AbortController()
  t.teardown(() => ending.abort())
  await appendEveryContract(ledger)
  await ledger.append(
    request({
      stream: 'order-binary',
      events: [
        draft({
          contentType: 'application/octet-stream',
          data: Uint8Array.of(0xff, 0xfe),
          metadata: utf8('not json'),
        }),
      ],
    }),
  )
  const follower = followFacts({
    reader: ledger,
    proofs: ledger,
    warehouse,
    projectors,
    signal: ending.signal,
    log: quiet,
  })
  t.teardown(() => follower.done)
  await follower.waitFor(await coveredBy(ledger), 20_000)

  await t.test('every event stands in events, with its proof and its data', async (t) => {
    const rows = await warehouse.query('SELECT * FROM events ORDER BY position', {})
    t.equal(rows.length, ledger.size())
    for await (const event of ledger.readLog()) {
      const row = rows[event.position]
      t.match(row, {
        position: String(event.position),
        event_id: event.leaf.id,
        leaf_hash: hexOf(event.leafHash),
        type: event.leaf.type,
        type_seq: event.leaf.type_seq,
      })
    }
    const [binary] = await warehouse.query(
      'SELECT data_state, data, data_bytes FROM events WHERE stream = {stream:String}',
      { stream: 'order-binary' },
    )
    t.strictSame(binary, { data_state: 'binary', data: null, data_bytes: '2' })
  })

  await t.test('every table has the rows of its events', async (t) => {
    for (const { table, types } of projectors) {
      if (types === 'all') continue
      const [{ n } = {}] = await warehouse.query(
        `SELECT uniqExact(event_id) AS n FROM ${table}`,
        {},
      )
      // The routing of a blocked proposal alone moves nothing; the example is not one.
      t.equal(n, String(types.length), table)
    }
    const [present] = await warehouse.query(
      'SELECT status, kind, operation FROM proposals_present',
      {},
    )
    t.match(present, { kind: 'asset-registration', operation: 'register' })
    const [decision] = await warehouse.query(
      "SELECT outcome, reasons, reason_codes FROM policy_decisions WHERE stage = 'enforced'",
      {},
    )
    t.match(decision, {
      outcome: 'allow',
      reasons: [{ code: 'approval-required' }],
      reason_codes: ['approval-required'],
    })
    const [recorded] = await warehouse.query(
      "SELECT attributes['review.period'] AS period, toString(occurred_at) AS occurred FROM evidence WHERE kind = 'recorded'",
      {},
    )
    t.strictSame(recorded, { period: '2026-11', occurred: '2026-01-02 01:04:05.000' })
    const [last] = await warehouse.query(
      'SELECT size, note FROM checkpoints ORDER BY position DESC LIMIT 1',
      {},
    )
    t.strictSame(last, { size: String(ledger.checkpoint().size), note: ledger.checkpoint().note })
  })

  await t.test('new events are there within moments', async (t) => {
    const [receipt] = await ledger.append(request())
    const began = Date.now()
    await follower.waitFor((receipt?.position ?? 0) + 1, 5_000)
    t.ok(Date.now() - began < 1_500, `it took ${Date.now() - began} ms`)
    t.match(follower.status(), { status: 'ok' })
  })

  await t.test('wrong SQL is QUERY_INVALID with the words of the engine', async (t) => {
    await t.rejects(warehouse.query('SELECT nothing FROM events', {}), {
      code: 'QUERY_INVALID',
      message: /nothing/,
    })
    await t.rejects(warehouse.query('DROP TABLE events', {}), { code: 'QUERY_INVALID' })
    await t.rejects(warehouse.query('SELECT * FROM numbers(200000)', {}), {
      code: 'QUERY_INVALID',
      message: /limit/i,
    })
    t.strictSame(await warehouse.query('SELECT 1 AS one FORMAT CSV;', {}), [{ one: 1 }])
  })

  await t.test('killed in mid-fold, nothing is skipped and nothing stands twice', async (t) => {
    for (let round = 0; round < 4; round += 1) {
      await eventually('the process running', () => running.status().status === 'ok' || undefined)
      await appendMany(ledger, 500)
      // A little later each time: before the plan, between rows of two tables, before the commit.
      await new Promise((done) => setTimeout(done, 40 * round))
      const pid = running.pid()
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
      await appendEveryContract(ledger)
      t.ok(follower.position() < ledger.size(), 'there is something left to fold')
      const size = await coveredBy(ledger)
      await follower.waitFor(size, 40_000)
    }
    const size = await coveredBy(ledger)
    await follower.waitFor(size, 40_000)
    const folded = await factDump(warehouse)
    t.equal(folded['events']?.length, size)

    const progress: number[] = []
    await follower.rebuild(undefined, ({ position }) => progress.push(position))
    await follower.waitFor(size, 20_000)
    t.strictSame(await factDump(warehouse), folded, 'it equals a fresh rebuild')
    t.ok(progress.length > 0, 'progress was told')
  })

  ending.abort()
  await follower.done
  await t.rejects(
    rebuildFacts({
      reader: ledger,
      proofs: ledger,
      warehouse,
      projectors,
      signal: new AbortController().signal,
      tables: ['nothing'],
    }),
    { code: 'REQUEST_INVALID' },
  )
  await rebuildFacts({
    reader: ledger,
    proofs: ledger,
    warehouse,
    projectors,
    signal: new AbortController().signal,
    tables: ['evidence'],
  })
})

t.test('a range is written once, whoever writes it again', async (t) => {
  const { ledger } = await openTestLedger(t)
  const { warehouse } = await openTestWarehouse(t)
  await appendMany(ledger, 100)
  const size = await coveredBy(ledger)
  const signal = new AbortController().signal
  const range = { from: 0, to: 40 }
  const events = projectors.filter((projector) => projector.table === 'events')
  const rows = []
  for await (const event of ledger.readLog({ max: 40 }))
    rows.push(...(events[0]?.rows({ event }) ?? []))

  await warehouse.prepare(events)
  await warehouse.plan(['events'], range)
  await warehouse.write('events', range, rows)
  await warehouse.write('events', range, rows)
  t.match(
    (await warehouse.positions()).get('events'),
    { position: 0, plannedTo: 40 },
    'a crash here leaves the plan',
  )

  const ending = new AbortController()
  const follower = followFacts({
    reader: ledger,
    proofs: ledger,
    warehouse,
    projectors: events,
    signal: ending.signal,
    log: quiet,
  })
  await follower.waitFor(size, 10_000)
  ending.abort()
  await follower.done
  const [{ n, ids } = {}] = await warehouse.query(
    'SELECT count() AS n, uniqExact(event_id) AS ids FROM events',
    {},
  )
  t.strictSame([n, ids], [String(size), String(size)])

  await t.test('another version of a table begins anew', async (t) => {
    const changed = events.map((projector): Projector => ({ ...projector, version: 2 }))
    await warehouse.prepare(changed)
    t.match((await warehouse.positions()).get('events'), { position: 0, plannedTo: 0 })
    t.equal(
      await rebuildFacts({
        reader: ledger,
        proofs: ledger,
        warehouse,
        projectors: changed,
        signal,
      }),
      size,
    )
  })
})

t.test('a table that cannot read an event stops alone and says where', async (t) => {
  const { ledger } = await openTestLedger(t)
  const { warehouse } = await openTestWarehouse(t)
  await ledger.append(
    request({
      stream: 'evidence-x',
      events: [draft({ type: 'evidence.recorded', version: '99', writer: 'recording' })],
    }),
  )
  const size = await coveredBy(ledger)
  const told = createStalledRecord({
    reader: ledger,
    writer: createLedgerWriter(ledger),
    newId: randomUUID,
    log: quiet,
  })
  const ending = new AbortController()
  const follower = followFacts({
    reader: ledger,
    proofs: ledger,
    warehouse,
    projectors,
    signal: ending.signal,
    log: quiet,
    onStalled: told,
  })
  await eventually('the other tables being folded', async () => {
    const positions = await warehouse.positions()
    return (positions.get('events')?.position ?? 0) >= size &&
      positions.get('evidence')?.position === 0
      ? true
      : undefined
  })
  t.match(follower.status(), {
    status: 'lagging',
    detail: /evidence.*version 99/,
    stalled: [{ table: 'evidence' }],
  })
  await eventually('the event that tells of it', () => (ledger.size() > size ? true : undefined))
  for (const stalled of follower.status().stalled) await told(stalled)
  const tellings = []
  for await (const event of ledger.readStream({
    project: 'default',
    stream: 'projection-evidence',
  }))
    tellings.push(dataOf(projectionStalled, event))
  t.match(
    tellings,
    [{ position: '0', event_type: 'evidence.recorded', reason_code: 'EVENT_VERSION_UNKNOWN' }],
    'it is told once',
  )
  t.equal(tellings.length, 1)
  await t.rejects(follower.rebuild(), { code: 'PROJECTION_FAILED' })
  ending.abort()
  await follower.done
})
