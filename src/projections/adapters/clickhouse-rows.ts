import { randomUUID } from 'node:crypto'
import type { ClickHouseClient } from '@clickhouse/client'
import type { Cell, Column, FactRows, Range, Row } from '../warehouse.js'

/** What one range of the log may hold in one table. */
const readSettings = {
  max_execution_time: 60,
  output_format_json_quote_64bit_integers: 1,
} as const

interface RowParts {
  readonly reader: ClickHouseClient
  readonly run: (sql: string) => Promise<void>
  readonly insert: (
    table: string,
    rows: readonly Row[],
    settings: Record<string, string>,
  ) => Promise<unknown>
  /** Says of every failure that the warehouse is unavailable. */
  readonly guarded: <T>(work: () => Promise<T>) => Promise<T>
}

type ChunkOfRows = readonly { json<Value>(): Value }[]

const within = ({ from, to }: Range): string =>
  `position >= ${from}${Number.isFinite(to) ? ` AND position < ${to}` : ''}`

/** The rows of fact tables in a ClickHouse server. */
export function factRows({ reader, run, insert, guarded }: RowParts): FactRows {
  return {
    columns: (table) =>
      guarded(async () => {
        const answer = await reader.query({
          query:
            'SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String} ORDER BY position',
          query_params: { table },
          format: 'JSONEachRow',
        })
        const columns = await answer.json<Column>()
        return columns.length === 0 ? undefined : columns
      }),
    async *rows(table, columns, range) {
      const names = columns.map(({ name }) => `\`${name}\``).join(', ')
      const answer = await guarded(() =>
        reader.query({
          query: `SELECT ${names} FROM ${table} WHERE ${within(range)} ORDER BY position, row`,
          format: 'JSONCompactEachRow',
          clickhouse_settings: readSettings,
        }),
      )
      // In this format a chunk is a list of rows.
      const stream: AsyncIterator<ChunkOfRows> = answer.stream()[Symbol.asyncIterator]()
      for (;;) {
        // An answer that breaks off is the warehouse's failure as much as one that never came.
        const next = await guarded(() => stream.next())
        if (next.done === true) return
        for (const row of next.value) yield row.json<readonly Cell[]>()
      }
    },
    replace: (table, range, rows) =>
      guarded(async () => {
        await run(`ALTER TABLE ${table} DELETE WHERE ${within(range)} SETTINGS mutations_sync = 1`)
        if (rows.length === 0) return
        // The engine remembers the blocks it was given: under a name of its own none is a repetition.
        await insert(table, rows, { insert_deduplication_token: `${table}/repair/${randomUUID()}` })
      }),
    remove: (table, rows) =>
      guarded(async () => {
        // Both come out of typed columns: digits, and a UUID.
        const places = rows.map(({ position, eventId }) => `(${position}, '${eventId}')`).join(', ')
        await run(
          `ALTER TABLE ${table} DELETE WHERE (position, event_id) IN (${places}) SETTINGS mutations_sync = 1`,
        )
      }),
  }
}
