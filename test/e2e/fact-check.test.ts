import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FactCheckView } from '../../src/contracts/fact-check.js'
import type { HudView } from '../../src/contracts/http.js'
import { startWarehouse } from '../../src/projections/adapters/warehouse-child.js'
import { queried } from '../support/change.js'
import { eventually, type Product, runCli, startProduct } from '../support/product.js'
import { requireTemporal } from '../support/temporal.js'
import { loader, warehouseEntry } from '../support/warehouse.js'

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }
const folderOf = (product: Product) => join(product.data, 'warehouse')

/** Runs one statement on the tables of a stopped product, as whoever has its disk can. */
async function byHand(t: Test, product: Product, sql: string) {
  const running = await startWarehouse({
    folder: folderOf(product),
    listen: { host: '127.0.0.1', port: 0 },
    entry: warehouseEntry,
    execArgv: loader,
    log: quiet,
  })
  const { url, writer } = running
  const answer = await fetch(`${url}/?query=${encodeURIComponent(sql)}`, {
    method: 'POST',
    headers: { 'x-clickhouse-user': writer.user, 'x-clickhouse-key': writer.password },
  })
  t.equal(answer.status, 200, await answer.text())
  await running.close()
}

async function record(product: Product, token: string, n: number) {
  const answer = await product.request('POST', '/v1/evidence', {
    token,
    headers: { 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify({
      specversion: '1.0',
      id: `report-${n}`,
      source: 'urn:test',
      type: 'evidence.recorded',
      subject: 'review',
      data: { sha256: 'a'.repeat(64), media_type: 'text/plain', size: n },
    }),
  })
  if (answer.status >= 300) throw new Error(`evidence answered ${answer.status}: ${answer.text}`)
}

const check = async (product: Product, ...flags: string[]) => {
  await eventually('the workflows', async () => {
    const { parts } = await product.get<{ parts: HudView['parts'] }>('/readyz')
    return parts.some(({ name, status }) => name === 'execution' && status === 'ok') || undefined
  })
  return runCli(['check', 'facts', ...flags, '--json', '--data', product.data])
}

t.test(
  'a tampered fact row is found, named, told on the ledger and mended',
  { skip: requireTemporal() },
  async (t) => {
    const product = await startProduct(t)
    const { token } = await product.token('ada', 'proposer')
    for (let n = 0; n < 5; n += 1) await record(product, token, n)

    await t.test('tables that were folded are sound', async (t) => {
      const ran = await check(product)
      t.equal(ran.code, 0, ran.stderr)
      t.match(JSON.parse(ran.stdout), { sound: true })
    })

    await product.stop()
    cpSync(folderOf(product), `${product.data}-yesterday`, { recursive: true })
    t.teardown(() => rmSync(`${product.data}-yesterday`, { recursive: true, force: true }))
    await byHand(
      t,
      product,
      "ALTER TABLE evidence UPDATE sha256 = 'forged' WHERE size = 3 SETTINGS mutations_sync = 1",
    )
    await byHand(t, product, 'DROP TABLE identities')
    await product.start()

    await t.test(
      'the row is named, the dropped table is back, and who may only audit cannot mend it',
      async (t) => {
        const ran = await check(product)
        t.equal(ran.code, 1, ran.stderr)
        const { tables } = JSON.parse(ran.stdout) as { tables: FactCheckView['tables'] }
        const [evidence, ...others] = tables.filter(({ state }) => state !== 'sound')
        t.match(evidence, { table: 'evidence', state: 'differs', differences: '1' })
        t.match(evidence?.found, [{ kind: 'changed', column: 'sha256' }])
        t.strictSame(others, [])
        const event = await product.get<{ type: string; writer: string }>(
          `/v1/events/${evidence?.event_id ?? ''}`,
        )
        t.match(event, { type: 'projection.checked', writer: 'activity' })
        const { parts } = await product.get<HudView>('/v1/hud')
        t.match(
          parts.find(({ name }) => name === 'facts'),
          { status: 'lagging', detail: /evidence is not what the ledger folds to, changed row/ },
        )
        const auditor = await product.token('eve', 'auditor')
        const refused = await product.request('POST', '/v1/projections/checks', {
          token: auditor.token,
          body: { repair: true },
        })
        t.equal(refused.status, 403)
      },
    )

    await t.test('repair writes its range anew', async (t) => {
      const ran = await check(product, '--repair')
      t.equal(ran.code, 0, ran.stderr)
      const { tables } = JSON.parse(ran.stdout) as { tables: FactCheckView['tables'] }
      t.strictSame(
        tables.filter(({ follows_repair }) => follows_repair).map(({ table }) => table),
        ['evidence'],
      )
      const [rebuilt] = await queried<{ data: string }>(
        product,
        "SELECT data FROM events WHERE type = 'projection.rebuilt' AND stream = 'projection-evidence'",
      )
      t.match(JSON.parse(rebuilt?.data ?? ''), { table: 'evidence', ranges: [{ from: '0' }] })
    })

    await t.test('tables that were restored from yesterday are folded on, and sound', async (t) => {
      await product.stop()
      rmSync(folderOf(product), { recursive: true })
      cpSync(`${product.data}-yesterday`, folderOf(product), { recursive: true })
      await product.start()
      await record(product, token, 9)
      const ran = await check(product)
      t.equal(ran.code, 0, ran.stdout)
    })
  },
)
