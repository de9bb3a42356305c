import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { cellForm } from '../../src/projections/row-form.js'
import type { Cell } from '../../src/projections/warehouse.js'
import { projectors } from '../../src/projections/tables.js'
import { checkFacts, type CheckWish, type TableCheck } from '../../src/runtime/fact-check.js'
import { rebuildFacts } from '../../src/runtime/project.js'
import { appendEveryContract } from '../support/contracts.js'
import { draft, openTestLedger, request } from '../support/ledger.js'
import { factDump, openTestWarehouse, type TestWarehouse } from '../support/warehouse.js'

type TestLedger = Awaited<ReturnType<typeof openTestLedger>>['ledger']

const forever = new AbortController().signal

/** A ledger with every contract on it, folded; and a hand that writes where only the projector may. */
async function openFolded(t: Test) {
  const { ledger } = await openTestLedger(t)
  const { warehouse, running } = await openTestWarehouse(t)
  await appendEveryContract(ledger)
  await ledger.append(request({ stream: 'order-1', events: [draft(), draft(), draft()] }))
  await fold(ledger, warehouse)
  const hand = await handOf(t, running)
  return { ledger, warehouse, hand }
}

async function fold(ledger: TestLedger, warehouse: TestWarehouse['warehouse']) {
  await ledger.checkpointCovering(ledger.size() - 1)
  await rebuildFacts({ reader: ledger, proofs: ledger, warehouse, projectors, signal: forever })
}

async function handOf(t: Test, { url, writer }: TestWarehouse['running']) {
  const hand = async (sql: string) => {
    const answer = await fetch(`${url}/?query=${encodeURIComponent(sql)}`, {
      method: 'POST',
      headers: { 'x-clickhouse-user': writer.user, 'x-clickhouse-key': writer.password },
    })
    const text = await answer.text()
    t.equal(answer.status, 200, `${sql}: ${text}`)
    return text
  }
  return hand
}

const check = async (
  { ledger, warehouse }: { ledger: TestLedger; warehouse: TestWarehouse['warehouse'] },
  wish: CheckWish = {},
): Promise<ReadonlyMap<string, TableCheck>> => {
  const found = await checkFacts({
    reader: ledger,
    proofs: ledger,
    warehouse,
    projectors,
    signal: forever,
    ...wish,
  })
  return new Map(found.map((one) => [one.table, one]))
}

async function eventAt(ledger: TestLedger, position: number) {
  for await (const event of ledger.readLog({ from: position, max: 1 })) return event
  return undefined
}

const unsound = (found: ReadonlyMap<string, TableCheck>) =>
  [...found.values()].filter(({ state }) => state !== 'sound').map(({ table }) => table)

t.test('what differs from the ledger is found, named and repaired', async (t) => {
  const at = await openFolded(t)
  const { ledger, warehouse, hand } = at
  const folded = await factDump(warehouse)

  await t.test('tables as they were folded are sound', async (t) => {
    const found = await check(at)
    t.strictSame(
      [...found.keys()],
      projectors.map(({ table }) => table),
    )
    t.strictSame(unsound(found), [])
    for (const { table, position, rows, rawLeaves } of found.values()) {
      t.equal(rows, folded[table]?.length, `${table} has as many rows`)
      t.strictSame([position, rawLeaves], [ledger.checkpoint().size, 0])
    }
    t.strictSame(await check(at), found, 'the same ledger has the same digests')
  })

  await t.test('a row edited by hand', async (t) => {
    await hand(
      "ALTER TABLE events UPDATE actor = 'mallory' WHERE position = 3 SETTINGS mutations_sync = 1",
    )
    const found = await check(at)
    t.strictSame(unsound(found), ['events'])
    const event = await eventAt(ledger, 3)
    t.strictSame(found.get('events')?.shown, [
      { kind: 'changed', position: '3', eventId: event?.leaf.id, column: 'actor' },
    ])
  })

  await t.test('rows deleted, and rows added where one is and where none should be', async (t) => {
    const stranger = randomUUID()
    await hand('ALTER TABLE approvals DELETE WHERE 1 SETTINGS mutations_sync = 1')
    await hand(
      'INSERT INTO evidence SELECT * FROM evidence LIMIT 1 SETTINGS insert_deduplicate = 0',
    )
    await hand(
      `INSERT INTO identities (position, event_id, project, time, name) SELECT 7, '${stranger}', 'default', time, 'mallory' FROM events LIMIT 1`,
    )
    await hand(
      `INSERT INTO identities (position, event_id, project, time, name) SELECT 99000, '${stranger}', 'default', time, 'mallory' FROM events LIMIT 1`,
    )
    const found = await check(at)
    t.strictSame(unsound(found).sort(), ['approvals', 'events', 'evidence', 'identities'])
    t.ok(found.get('approvals')?.shown.every(({ kind }) => kind === 'missing'))
    t.equal(found.get('approvals')?.differences, folded['approvals']?.length)
    t.match(found.get('evidence')?.shown, [{ kind: 'added' }])
    t.strictSame(found.get('identities')?.shown, [
      { kind: 'added', position: '7', eventId: stranger },
      { kind: 'added', position: '99000', eventId: stranger },
    ])
  })

  await t.test('repair writes the ranges anew, as often as it is needed', async (t) => {
    const repaired = await check(at, { repair: true })
    t.match(repaired.get('events'), { state: 'differs', differences: 1, repaired: [{ from: 0 }] })
    t.strictSame(unsound(await check(at)), [])
    t.strictSame(await factDump(warehouse), folded)
    await hand('ALTER TABLE events DELETE WHERE position = 5 SETTINGS mutations_sync = 1')
    await check(at, { repair: true, tables: ['events'] })
    t.strictSame(await factDump(warehouse), folded, 'the same rows come back a second time')
  })

  await t.test(
    'a table that was dropped is named, and folded anew by the next opening',
    async (t) => {
      await hand('DROP TABLE workflow_steps')
      const found = await check(at)
      t.strictSame(unsound(found), ['workflow_steps'])
      t.equal(found.get('workflow_steps')?.state, 'table-missing')
      await warehouse.prepare(projectors)
      t.match((await warehouse.positions()).get('workflow_steps'), { position: 0 })
      await fold(ledger, warehouse)
      t.strictSame(unsound(await check(at)), [])
    },
  )

  await t.test('an unknown table is refused', async (t) => {
    await t.rejects(check(at, { tables: ['nothing'] }), { code: 'REQUEST_INVALID' })
  })
})

t.test('cells of both sides come to one form', async (t) => {
  const { running } = await openTestWarehouse(t)
  const hand = await handOf(t, running)
  const types = {
    n: 'UInt64',
    s: 'String',
    o: 'LowCardinality(Nullable(String))',
    l: 'Array(Tuple(code String, by Nullable(String)))',
    m: 'Map(LowCardinality(String), String)',
    b: 'Bool',
  } as const
  const text = fc.string({ unit: 'grapheme', maxLength: 8 })
  const rows = fc.array(
    fc.record(
      {
        n: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
        s: text,
        o: fc.option(text),
        l: fc.array(fc.record({ code: text, by: fc.option(text) }), { maxLength: 3 }),
        m: fc.dictionary(text, text, { maxKeys: 4 }),
        b: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
    { minLength: 1, maxLength: 40 },
  )
  const structure = Object.entries(types).map(([name, type]) => `${name} ${type}`)
  const literal = (value: string) => value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")
  await fc.assert(
    fc.asyncProperty(rows, async (given) => {
      const lines = given.map((row) => JSON.stringify(row)).join('\n')
      const answer = await hand(
        `SELECT * FROM format(JSONEachRow, '${structure.join(', ')}', '${literal(lines)}') FORMAT JSONEachRow`,
      )
      const answered = answer.trim().split('\n')
      t.equal(answered.length, given.length)
      for (const [i, line] of answered.entries()) {
        const [mine, theirs] = [given[i], JSON.parse(line) as Record<string, Cell>]
        for (const [name, type] of Object.entries(types)) {
          const form = cellForm(type)
          t.strictSame(form(mine?.[name as keyof typeof types]), form(theirs[name]))
        }
      }
    }),
    { numRuns: 8 },
  )
})
