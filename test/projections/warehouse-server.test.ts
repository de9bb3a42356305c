import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createClient } from '@clickhouse/client'
import t from 'tap'
import { startWarehouse } from '../../src/projections/adapters/warehouse-child.js'
import { eventually } from '../support/product.js'
import { loader, openTestWarehouse, warehouseEntry } from '../support/warehouse.js'

t.test('the official client works on the warehouse unchanged', async (t) => {
  const { running } = await openTestWarehouse(t)
  const { user: username, password } = running.writer
  const projector = createClient({
    url: running.url,
    username,
    password,
    compression: { request: true, response: true },
  })
  const dashboard = createClient({ url: running.url, compression: { response: true } })
  t.teardown(() => Promise.all([projector.close(), dashboard.close()]))
  await projector.command({
    query:
      'CREATE TABLE numbers_seen (n UInt64, text String) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100',
  })

  await t.test('inserts arrive, once per token', async (t) => {
    const values = [
      { n: '18446744073709551615', text: "tab\tquote' backslash\\ Ω\n" },
      { n: '1', text: '' },
    ]
    for (let i = 0; i < 2; i += 1) {
      const done = await projector.insert({
        table: 'numbers_seen',
        values,
        format: 'JSONEachRow',
        clickhouse_settings: { insert_deduplication_token: 'a/0-2' },
      })
      t.ok(done.executed)
    }
    const rows = await (
      await dashboard.query({
        query: 'SELECT * FROM numbers_seen ORDER BY n DESC',
        format: 'JSONEachRow',
      })
    ).json()
    t.strictSame(rows, values, '64-bit integers and strange text are exact, and there once')
  })

  await t.test('parameters are bound, not pasted', async (t) => {
    const text = "it's \\ \t \n {x:String} --"
    const found = await dashboard.query({
      query:
        'SELECT {text:String} AS text, {n:UInt64} AS n, {list:Array(String)} AS list, {none:Nullable(String)} AS none, {flag:Bool} AS flag',
      query_params: { text, n: '18446744073709551615', list: ["a'b", 'c'], none: null, flag: true },
      format: 'JSONEachRow',
    })
    t.strictSame(await found.json(), [
      { text, n: '18446744073709551615', list: ["a'b", 'c'], none: null, flag: true },
    ])
  })

  await t.test('documents, text and streams', async (t) => {
    const document = await (await dashboard.query({ query: 'SELECT 1 AS one' })).json()
    t.match(document, { data: [{ one: 1 }], rows: 1 })
    t.equal(
      await (await dashboard.query({ query: "SELECT 1, 'x'", format: 'CSV' })).text(),
      '1,"x"\n',
    )
    let count = 0
    const streamed = await dashboard.query({
      query: "SELECT number, repeat('x', 100) AS pad FROM numbers(300000)",
      format: 'JSONEachRow',
    })
    for await (const rows of streamed.stream()) count += rows.length
    t.equal(count, 300_000)
    t.ok((await dashboard.ping()).success)
  })

  await t.test('errors carry the code of ClickHouse', async (t) => {
    await t.rejects(dashboard.query({ query: 'SELECT * FROM not_there' }), {
      code: '60',
      type: 'UNKNOWN_TABLE',
    })
    await t.rejects(dashboard.query({ query: 'SELEC 1' }), { code: '62' })
    await t.rejects(
      createClient({ url: running.url, username: 'projector', password: 'guess' }).query({
        query: 'SELECT 1',
      }),
      { code: '516' },
    )
    const failing = await fetch(
      `${running.url}/?query=${encodeURIComponent('SELECT throwIf(number = 1) FROM numbers(3)')}`,
    )
    t.equal(failing.headers.get('x-clickhouse-exception-code'), '395')
  })

  await t.test('the user default changes nothing and reads nothing but facts', async (t) => {
    const hostile = [
      "INSERT INTO numbers_seen VALUES (5, 'x')",
      'DROP TABLE numbers_seen',
      'ALTER TABLE numbers_seen DELETE WHERE 1',
      'TRUNCATE TABLE numbers_seen',
      'SET readonly = 0',
      'SYSTEM FLUSH LOGS',
      'CREATE TEMPORARY TABLE x (a Int8)',
      'SELECT 1; DROP TABLE numbers_seen',
      "SELECT * FROM file('/etc/passwd', 'LineAsString')",
      "SELECT file('/etc/passwd')",
      "SELECT * FROM (SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString'))",
      "SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'CSV')",
      "SELECT * FROM remote('127.0.0.1:9', 'system', 'one')",
      "SELECT * FROM executable('ls', 'TSV', 'a String')",
      "SELECT * FROM merge('system', '.*')",
      "DESCRIBE TABLE file('/etc/passwd', 'LineAsString')",
      "EXPLAIN SELECT * FROM file('/etc/passwd', 'LineAsString')",
      "SELECT 1 INTO OUTFILE '/tmp/fractalops-outfile'",
      "SELECT 1 /* ' */ INTO OUTFILE '/tmp/fractalops-outfile' -- '",
      "EXPLAIN AST SELECT 1 INTO OUTFILE '/tmp/fractalops-outfile'",
      'SELECT * FROM system.processes',
      'SELECT * FROM `system`.`processes`',
      'SELECT 1 IN (system.processes)',
      'WITH x AS (SELECT * FROM system.settings) SELECT * FROM x',
      'SELECT 1 SETTINGS readonly = 0',
      'SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)',
      'SHOW PROCESSLIST',
      'SELECT sleep(3)',
    ]
    for (const query of hostile) {
      const answer = await fetch(running.url, { method: 'POST', body: query })
      t.not(answer.status, 200, query)
      await answer.text()
    }
    const table = await fetch(`${running.url}/?param_t=system.processes`, {
      method: 'POST',
      body: 'SELECT * FROM {t:Identifier}',
    })
    t.not(table.status, 200, 'a parameter names no other table')
    const setting = await fetch(`${running.url}/?output_format_schema=/tmp/x`, {
      method: 'POST',
      body: 'SELECT 1',
    })
    t.not(setting.status, 200)
    const count = await (
      await dashboard.query({
        query: 'SELECT count() AS n FROM numbers_seen',
        format: 'JSONEachRow',
      })
    ).json()
    t.strictSame(count, [{ n: '2' }])
    for (const query of [
      'SHOW TABLES',
      'DESCRIBE TABLE numbers_seen',
      'EXPLAIN SELECT 1',
      'SELECT name FROM system.tables LIMIT 1',
      'SELECT n FROM numbers_seen UNION ALL SELECT n FROM numbers_seen ORDER BY n LIMIT 1 BY n',
      "SELECT ';', 'INTO OUTFILE', ' SETTINGS a = 1' -- ;",
    ]) {
      const answer = await fetch(running.url, { method: 'POST', body: query })
      t.equal(answer.status, 200, `${query}: ${await answer.text()}`)
    }
  })

  await t.test('a page of another name cannot reach it', async (t) => {
    const child = spawn(
      process.execPath,
      [
        '-e',
        `require('http').get({host:'127.0.0.1',port:${running.port},path:'/?query=SELECT%201',headers:{host:'evil.example'}},r=>{console.log(r.statusCode);r.resume()})`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    t.equal(line, '403')
  })
})

t.test('the process is started again at its address, and ends with its parent', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fractalops-warehouse-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const log = { info: () => undefined, warn: () => undefined }
  const options = {
    folder,
    listen: { host: '127.0.0.1', port: 0 },
    entry: warehouseEntry,
    execArgv: loader,
    log,
  }
  const running = await startWarehouse(options)
  t.teardown(() => running.close())
  const first = running.pid() ?? 0

  process.kill(first, 'SIGINT')
  process.kill(first, 'SIGKILL')
  await eventually('the warehouse answering again', async () => {
    if (running.pid() === first || running.status().status !== 'ok') return undefined
    return (await fetch(`${running.url}/ping`)).ok ? true : undefined
  })

  await t.rejects(
    startWarehouse({
      ...options,
      folder: join(folder, 'other'),
      listen: { host: '127.0.0.1', port: running.port },
    }),
    { code: 'ADDRESS_IN_USE' },
  )
  const second = running.pid() ?? 0
  const began = Date.now()
  await running.close()
  t.ok(Date.now() - began < 2_000, 'it closes within 2 s')
  t.throws(() => process.kill(second, 0), 'it is gone')

  const parent = spawn(
    process.execPath,
    [...loader, join(import.meta.dirname, '..', 'support', 'warehouse-parent.ts'), folder],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string]
  const orphan = Number(line)
  process.kill(orphan, 0)
  parent.kill('SIGKILL')
  await eventually(
    'the orphan ending',
    () => {
      try {
        process.kill(orphan, 0)
        return undefined
      } catch {
        return true
      }
    },
    5_000,
  )
})
