import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClickHouseError, type ClickHouseClient, createClient } from '@clickhouse/client'
import { EvidenceError } from '../../contracts/errors.js'
import { readingStatement } from '../query-gate.js'
import type {
  FactRows,
  Range,
  Row,
  TablePosition,
  Warehouse,
  WarehouseQueries,
} from '../warehouse.js'
import { factRows } from './clickhouse-rows.js'

export const queryRowsMax = 100_000
export const queryBytesMax = 64 * 1024 * 1024
export const querySecondsMax = 30
export const queryMemoryBytesMax = 1024 * 1024 * 1024
const requestMs = 120_000
const connectionsMax = 8

export interface ClickHouseOptions {
  readonly url: string
  /** Who writes. */
  readonly user?: string
  readonly password?: string
  /** True of the embedded warehouse: its reader needs no password, and it checks statements itself. */
  readonly embedded?: boolean
  /** Folder of the table definitions. */
  readonly tablesFolder?: string
}

interface TableState {
  readonly version: number
  readonly epoch: number
  readonly step: number
  readonly state: 'creating' | 'ready'
  readonly position: number
  readonly plannedTo: number
}

/** What the embedded warehouse calls itself. */
const ourDisplayName = 'fractalops'

const positionsTable = 'projection_positions'
const tablesFolder = join(import.meta.dirname, '..', '..', '..', 'schemas', 'tables')

const unavailable = (error: unknown): EvidenceError => {
  if (error instanceof EvidenceError) return error
  const detail = error instanceof Error ? error.message || String(error) : String(error)
  return new EvidenceError('WAREHOUSE_UNAVAILABLE', `the warehouse does not answer: ${detail}`, {
    cause: error,
  })
}

/** Errors that say nothing about the statement: the server is full, refuses us, or is not one. */
const ourMatter = new Set(['202', '516', '1002', '1000', '210', '209'])

function refusal(error: unknown): EvidenceError {
  if (!(error instanceof ClickHouseError) || ourMatter.has(error.code)) return unavailable(error)
  return new EvidenceError('QUERY_INVALID', error.message.trim(), {
    cause: error,
    details: { code: error.code, type: error.type ?? '' },
  })
}

/** Whoever writes fact tables through this needs to be the only one: positions are counted here. */
export interface ClickHouseWarehouse extends Warehouse, FactRows, WarehouseQueries {
  /** @throws EvidenceError WAREHOUSE_UNAVAILABLE. */
  ping(): Promise<void>
  close(): Promise<void>
}

async function statementsOf(folder: string, table: string): Promise<string[]> {
  const text = await readFile(join(folder, `${table}.sql`), 'utf8')
  return text
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}

function reading(client: ClickHouseClient, embedded: boolean): WarehouseQueries {
  const limits = {
    readonly: '1',
    max_result_rows: String(queryRowsMax),
    max_result_bytes: String(queryBytesMax),
    max_execution_time: querySecondsMax,
    max_memory_usage: String(queryMemoryBytesMax),
    result_overflow_mode: 'throw',
    wait_end_of_query: 1,
    output_format_json_quote_64bit_integers: 1,
  } as const
  const ask = async (sql: string, parameters: Readonly<Record<string, string>>) => {
    const answer = await client.query({
      query: sql,
      query_params: parameters,
      format: 'TabSeparatedRaw',
    })
    return answer.text()
  }
  /** The embedded warehouse of another process says who it is. */
  let isOurs: Promise<boolean> | undefined
  const asked = async () => {
    const answer = await client.query({ query: 'SELECT 1', format: 'TabSeparatedRaw' })
    await answer.text()
    return answer.response_headers['x-clickhouse-server-display-name'] === ourDisplayName
  }
  const checksItself = () => {
    isOurs ??= asked()
    isOurs.catch(() => (isOurs = undefined))
    return isOurs
  }
  return {
    async query(sql, parameters) {
      try {
        const texts = Object.fromEntries(
          Object.entries(parameters).map(([name, value]) => [name, String(value)]),
        )
        // The embedded server makes the same check for everybody; here it only takes FORMAT off.
        const statement =
          embedded || (await checksItself())
            ? { sql: withoutFormat(sql) }
            : await readingStatement(sql, texts, ask)
        const answer = await client.query({
          query: statement.sql,
          query_params: { ...parameters },
          format: 'JSONEachRow',
          clickhouse_settings: limits,
        })
        return await answer.json<Row>()
      } catch (error) {
        throw error instanceof EvidenceError ? error : refusal(error)
      }
    },
  }
}

/** A FORMAT at the end would give rows in a form that is not asked for here. */
const withoutFormat = (sql: string) => sql.replace(/[\s;]+$/, '').replace(/\sFORMAT\s+\w+$/i, '')

/** Fact tables in a ClickHouse server, or in the embedded one that speaks its protocol. */
export function openClickHouse(options: ClickHouseOptions): ClickHouseWarehouse {
  const { url, user = 'default', password = '', embedded = false } = options
  const folder = options.tablesFolder ?? tablesFolder
  const connect = (username: string, secret: string) =>
    createClient({
      url,
      username,
      password: secret,
      request_timeout: requestMs,
      max_open_connections: connectionsMax,
      clickhouse_settings: embedded ? {} : { output_format_json_quote_64bit_integers: 1 },
      log: { level: 127 },
    })
  const writer = connect(user, password)
  const reader = embedded ? connect('default', '') : writer
  let states: Map<string, TableState> | undefined

  const run = async (query: string) => {
    await writer.command({ query })
  }

  /** The latest word about every table; asked again after every failure, because its end is unknown. */
  const load = async (): Promise<Map<string, TableState>> => {
    const answer = await writer.query({
      query: `SELECT * FROM ${positionsTable} ORDER BY step DESC LIMIT 1 BY table_name`,
      format: 'JSONEachRow',
    })
    const rows =
      await answer.json<
        Record<
          'table_name' | 'step' | 'version' | 'epoch' | 'state' | 'position' | 'planned_to',
          string
        >
      >()
    return new Map(
      rows.map((row) => [
        row.table_name,
        {
          version: Number(row.version),
          epoch: Number(row.epoch),
          step: Number(row.step),
          state: row.state === 'ready' ? 'ready' : 'creating',
          position: Number(row.position),
          plannedTo: Number(row.planned_to),
        },
      ]),
    )
  }

  const known = async () => (states ??= await load())

  /** Writes the next word about some tables, in one insert: all of them move or none does. */
  const move = async (changes: ReadonlyMap<string, Omit<TableState, 'step'>>): Promise<void> => {
    const before = await known()
    const next = new Map(
      [...changes].map(([table, state]) => [
        table,
        { ...state, step: (before.get(table)?.step ?? 0) + 1 },
      ]),
    )
    await insert(
      positionsTable,
      [...next].map(([table, { step, version, epoch, state, position, plannedTo }]) => ({
        table_name: table,
        step,
        version,
        epoch,
        state,
        position,
        planned_to: plannedTo,
      })),
      {},
    )
    for (const [table, state] of next) before.set(table, state)
  }

  const insert = (table: string, rows: readonly Row[], settings: Record<string, string>) =>
    writer.insert({
      table,
      values: rows,
      format: 'JSONEachRow',
      // One block per insert, in the order of the rows: only so is a repeated range the same block.
      clickhouse_settings: {
        async_insert: 0,
        input_format_parallel_parsing: 0,
        max_insert_block_size: '1048576',
        ...settings,
      },
    })

  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      states = undefined
      throw unavailable(error)
    }
  }

  const stateOf = async (table: string): Promise<TableState> => {
    const state = (await known()).get(table)
    if (state?.state !== 'ready') throw new Error(`the table ${table} was not prepared`)
    return state
  }

  const tableNames = async (): Promise<string[]> => {
    const query = 'SELECT name FROM system.tables WHERE database = currentDatabase()'
    const answer = await writer.query({ query, format: 'JSONEachRow' })
    return (await answer.json<{ name: string }>()).map(({ name }) => name)
  }

  /** If we stop between the two words, the next `prepare` finds `creating` and begins again. */
  const create = async (table: string, version: number, epoch: number) => {
    const empty = { version, epoch, position: 0, plannedTo: 0 }
    await move(new Map([[table, { ...empty, state: 'creating' as const }]]))
    await run(`DROP TABLE IF EXISTS ${table}`)
    for (const statement of await statementsOf(folder, table)) await run(statement)
    await move(new Map([[table, { ...empty, state: 'ready' as const }]]))
  }

  return {
    prepare: (tables, anew = []) =>
      guarded(async () => {
        for (const statement of await statementsOf(folder, positionsTable)) await run(statement)
        states = undefined
        const before = await known()
        const there = new Set(await tableNames())
        for (const { table, version } of tables) {
          const state = before.get(table)
          // A table that somebody dropped is folded from 0, whatever its position says.
          const fits =
            state?.state === 'ready' &&
            state.version === version &&
            there.has(table) &&
            !anew.includes(table)
          if (!fits) await create(table, version, (state?.epoch ?? 0) + 1)
        }
      }),
    positions: () =>
      guarded(async (): Promise<ReadonlyMap<string, TablePosition>> => {
        states = undefined
        return new Map(await known())
      }),
    plan: (tables, range) =>
      guarded(() => moveAll(tables, { position: range.from, plannedTo: range.to })),
    write: (table, range, rows) =>
      guarded(async () => {
        if (rows.length === 0) return
        const { version, epoch } = await stateOf(table)
        await insert(table, rows, {
          insert_deduplication_token: tokenOf(table, version, epoch, range),
        })
      }),
    commit: (tables, range) =>
      guarded(() => moveAll(tables, { position: range.to, plannedTo: range.to })),
    ...factRows({ reader, run, insert, guarded }),
    ...reading(reader, embedded),
    async ping() {
      const answer = await reader.ping()
      if (!answer.success) throw unavailable(answer.error)
    },
    async close() {
      await writer.close()
      if (reader !== writer) await reader.close()
    },
  }

  async function moveAll(tables: readonly string[], at: { position: number; plannedTo: number }) {
    const changes = new Map<string, Omit<TableState, 'step'>>()
    for (const table of tables) changes.set(table, { ...(await stateOf(table)), ...at })
    await move(changes)
  }
}

/** What makes a range of one table written once; the epoch tells a table from its predecessors. */
const tokenOf = (table: string, version: number, epoch: number, { from, to }: Range) =>
  `${table}@${version}.${epoch}/${from}-${to}`
