import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import {
  type ClickHouseWarehouse,
  openClickHouse,
} from '../../src/projections/adapters/clickhouse.js'
import {
  type RunningWarehouse,
  startWarehouse,
} from '../../src/projections/adapters/warehouse-child.js'
import { projectors } from '../../src/projections/tables.js'

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** The warehouse process as the tests run it: from its sources, with the loader of the test itself. */
export const warehouseEntry = resolve(
  import.meta.dirname,
  '..',
  '..',
  'src',
  'projections',
  'main.ts',
)

/** The loader of TypeScript alone: what else watches a test has no business in its children. */
export const loader = process.execArgv.filter((argument) => argument.includes('typescript'))

export interface TestWarehouse {
  readonly running: RunningWarehouse
  readonly warehouse: ClickHouseWarehouse
}

/** A warehouse process on a folder of its own, ended after the test. */
export async function openTestWarehouse(t: Test): Promise<TestWarehouse> {
  const folder = await mkdtemp(join(tmpdir(), 'fractalops-warehouse-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const running = await startWarehouse({
    folder: join(folder, 'data'),
    listen: { host: '127.0.0.1', port: 0 },
    entry: warehouseEntry,
    execArgv: loader,
    log: quiet,
  })
  const warehouse = openClickHouse({ url: running.url, ...running.writer, embedded: true })
  t.teardown(async () => {
    await warehouse.close()
    await running.close()
  })
  return { running, warehouse }
}

export const factTables = projectors.map((projector) => projector.table)

/** Every row of every fact table, in one order; without FINAL, so that a doubled row shows. */
export async function factDump(warehouse: ClickHouseWarehouse): Promise<Record<string, unknown[]>> {
  const dump: Record<string, unknown[]> = {}
  for (const table of factTables) {
    dump[table] = [...(await warehouse.query(`SELECT * FROM ${table} ORDER BY position, row`, {}))]
  }
  return dump
}
