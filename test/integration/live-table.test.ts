import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { utf8 } from '../../src/ledger/encoding.js'
import { openPostgresLive } from '../../src/runtime/adapters/postgres-live.js'
import { followIntoTable, rowsMax } from '../../src/runtime/live-table.js'
import { silentLog } from '../support/grpc.js'
import { draft, openTestLedger, request, type TestLedger } from '../support/ledger.js'
import { requirePostgres, startPostgres, type TestPostgres } from '../support/postgres.js'
import { eventually, repository, startProduct } from '../support/product.js'

const skip = requirePostgres()
const definition = join(repository, 'schemas', 'postgres', 'portal_live_events.sql')

function follow(t: Test, { ledger, clock }: TestLedger, postgres: TestPostgres) {
  process.env['PGPASSFILE'] = postgres.passwordFile
  const follower = followIntoTable({
    reader: ledger,
    origin: ledger.origin,
    open: () => openPostgresLive(postgres.url, { definition }),
    log: silentLog,
    now: () => clock.nowMs,
  })
  t.teardown(() => follower.close())
  return follower
}

const reached = (postgres: TestPostgres, position: number) =>
  eventually(`the table reaching ${position}`, async () => {
    const [row] = await postgres.query<{ position: string }>(
      'SELECT position FROM portal_live_position',
    )
    return Number(row?.position) === position || undefined
  })

const rowsOf = (postgres: TestPostgres) =>
  postgres.query<{ position: string; event_id: string; asset_id: string | null; time: Date }>(
    'SELECT position, event_id, asset_id, time FROM portal_live_events ORDER BY position',
  )

t.test(
  'each event is in the table once, also when the database crashes while it is written',
  { skip, timeout: 180_000 },
  async (t) => {
    const postgres = await startPostgres(t)
    const test = await openTestLedger(t)
    const { ledger } = test
    const append = (count: number) =>
      ledger.append(request({ events: Array.from({ length: count }, () => draft()) }))
    await append(rowsMax)
    await append(37)
    const follower = follow(t, test, postgres)
    await reached(postgres, ledger.size())

    const appending = (async () => {
      for (let i = 0; i < 40; i += 1) await append(25)
    })()
    await postgres.crash()
    await appending
    await eventually('the crash being seen', () => follower.status().status === 'down' || undefined)
    await postgres.start()
    await append(1)
    await reached(postgres, ledger.size())

    const rows = await rowsOf(postgres)
    t.strictSame(
      rows.map(({ position }) => Number(position)),
      Array.from({ length: ledger.size() }, (_, i) => i),
    )
    const last = await ledger.find(rows.at(-1)?.event_id ?? '')
    t.equal(last?.position, ledger.size() - 1)
    t.equal(rows.at(-1)?.time.toISOString(), last?.leaf.time)
    t.equal(follower.status().status, 'ok')
  },
)

t.test('who listens is told, in order, and only of what is there', { skip }, async (t) => {
  const postgres = await startPostgres(t)
  const test = await openTestLedger(t)
  follow(t, test, postgres)
  await reached(postgres, test.ledger.size())
  const client = await postgres.connect()
  const told: string[] = []
  client.on('notification', ({ payload = '' }) => told.push(payload))
  await client.query('LISTEN portal_live_events')

  const from = test.ledger.size()
  await test.ledger.append(
    request({ events: [draft({ data: utf8('{"asset_id":"web"}') }), draft()] }),
  )
  await eventually('the news', () => (told.length > 0 ? true : undefined))

  t.match(JSON.parse(told[0] ?? ''), { from, to: test.ledger.size() })
  const rows = await rowsOf(postgres)
  t.equal(rows.find(({ position }) => Number(position) === from)?.asset_id, 'web')
  const published = await postgres.query(
    "SELECT tablename FROM pg_publication_tables WHERE pubname = 'portal_live_events'",
  )
  t.strictSame(published, [{ tablename: 'portal_live_events' }])
})

t.test('events that are older than the table keeps are not there', { skip }, async (t) => {
  const postgres = await startPostgres(t)
  const test = await openTestLedger(t)
  await test.ledger.append(request())
  test.clock.nowMs += 40 * 86_400_000
  await test.ledger.append(request())
  follow(t, test, postgres)
  await reached(postgres, test.ledger.size())
  t.strictSame(
    (await rowsOf(postgres)).map(({ position }) => Number(position)),
    [test.ledger.size() - 1],
  )
})

t.test('the table of another ledger is not written into', { skip }, async (t) => {
  const postgres = await startPostgres(t)
  const first = await openTestLedger(t)
  const one = follow(t, first, postgres)
  await reached(postgres, first.ledger.size())
  await one.close()

  const second = await openTestLedger(t)
  await second.ledger.append(request())
  const another = follow(t, second, postgres)
  await eventually('the refusal', () => another.status().status === 'down' || undefined)
  t.match(another.status().detail, new RegExp(`events of the ledger ${first.ledger.origin}`))
  t.equal((await rowsOf(postgres)).length, first.ledger.size())
})

t.test('with Supabase’s roles each reads the messages of their projects', { skip }, async (t) => {
  const postgres = await startPostgres(t)
  const test = await openTestLedger(t)
  await test.ledger.append(request())
  await test.ledger.append(request({ project: 'shop' }))
  follow(t, test, postgres)
  await reached(postgres, test.ledger.size())
  await postgres.query('CREATE ROLE anon; CREATE ROLE authenticated')
  const policies = await readFile(
    join(repository, 'deploy', 'supabase', 'portal_live_events.sql'),
    'utf8',
  )
  await postgres.query(policies)
  await postgres.query(policies)

  const client = await postgres.connect()
  const readAs = async (role: string, claims: unknown) => {
    await client.query('BEGIN')
    await client.query(`SET LOCAL ROLE ${role}`)
    await client.query("SELECT set_config('request.jwt.claims', $1, true)", [
      JSON.stringify(claims),
    ])
    const { rows } = await client
      .query<{ project: string }>('SELECT DISTINCT project FROM portal_live_events')
      .finally(() => client.query('ROLLBACK'))
    return rows.map(({ project }) => project)
  }
  t.strictSame(await readAs('authenticated', { app_metadata: { fractalops_projects: ['shop'] } }), [
    'shop',
  ])
  t.strictSame(await readAs('authenticated', {}), [])
  await t.rejects(readAs('anon', {}), /permission denied/)
  const published = await postgres.query(
    "SELECT tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime'",
  )
  t.strictSame(published, [{ tablename: 'portal_live_events' }])
})

t.test('Hasura is told of exactly the columns that the table has', { skip }, async (t) => {
  const postgres = await startPostgres(t)
  await postgres.query(await readFile(definition, 'utf8'))
  const file = join(
    repository,
    'deploy/hasura/metadata/databases/default/tables/public_portal_live_events.yaml',
  )
  const metadata = parse(await readFile(file, 'utf8')) as {
    select_permissions: { permission: { columns: string[] } }[]
  }
  const columns = await postgres.query<{ column_name: string }>(
    "SELECT column_name FROM information_schema.columns WHERE table_name = 'portal_live_events' ORDER BY ordinal_position",
  )
  t.strictSame(
    metadata.select_permissions[0]?.permission.columns,
    columns.map(({ column_name }) => column_name),
  )
})

t.test(
  'a service that is killed while it writes skips nothing and writes nothing twice',
  { skip, timeout: 180_000 },
  async (t) => {
    const postgres = await startPostgres(t)
    const product = await startProduct(t, {
      flags: ['--components', 'ledger,api'],
      env: { FRACTALOPS_LIVE: postgres.url, PGPASSFILE: postgres.passwordFile },
    })
    const evidence = async (from: number) => {
      const body = Array.from({ length: 500 }, (_, i) => ({
        specversion: '1.0',
        id: String(from + i),
        source: 'shop',
        type: 'order.placed',
        stream: 'order-1',
        data: {},
      }))
      const headers = { 'content-type': 'application/cloudevents-batch+json' }
      const token = product.adminToken
      await product.request('POST', '/v1/evidence', { token, body, headers })
    }
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 4; i += 1) await evidence(round * 2_000 + i * 500)
      await product.kill()
      await product.start()
    }
    const { items } = await product.get<{ items: { position: string }[] }>(
      '/v1/events?order=newest&limit=1',
    )
    const size = Number(items[0]?.position) + 1
    await eventually('the table reaching the end', async () => {
      const rows = await rowsOf(postgres)
      return rows.length >= size || undefined
    })
    const rows = await rowsOf(postgres)
    const expected = Array.from({ length: rows.length }, (_, i) => i)
    t.strictSame(
      rows.map(({ position }) => Number(position)),
      expected,
    )
    const ready = await product.get<{ parts: { name: string; status: string }[] }>('/readyz')
    t.match(
      ready.parts.find(({ name }) => name === 'live table'),
      { status: 'ok' },
    )
  },
)
