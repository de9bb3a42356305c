/** One value of a fact row as JSON carries it; 64-bit integers travel as decimal strings. */
export type Cell =
  string | number | boolean | null | readonly Cell[] | { readonly [key: string]: Cell }
export type Row = Readonly<Record<string, Cell>>

/** A range of the sequenced log: positions from (inclusive) to (exclusive). */
export interface Range {
  readonly from: number
  readonly to: number
}

/** How far one table is folded, and the range being written when `plannedTo` is above `position`. */
export interface TablePosition {
  /** The next position the table has not seen. */
  readonly position: number
  readonly plannedTo: number
  /** Counts how often the table was created anew: another one means that it began from 0 meanwhile. */
  readonly epoch: number
}

/**
 * Where fact tables live. A range is written exactly once: it is planned, its rows are written
 * under a token made of the range, and the position moves after they are durable. Whoever finds a
 * planned range that was not committed writes exactly that range again.
 *
 * @throws EvidenceError WAREHOUSE_UNAVAILABLE from every method while it cannot be reached.
 */
export interface Warehouse {
  /** Creates what is missing; tables of another version, and those named `anew`, start empty from 0. */
  prepare(
    tables: readonly { readonly table: string; readonly version: number }[],
    anew?: readonly string[],
  ): Promise<void>
  /** Of every prepared table, read afresh. */
  positions(): Promise<ReadonlyMap<string, TablePosition>>
  plan(tables: readonly string[], range: Range): Promise<void>
  write(table: string, range: Range, rows: readonly Row[]): Promise<void>
  commit(tables: readonly string[], range: Range): Promise<void>
}

/** A column of a fact table, with its type in the words of ClickHouse. */
export interface Column {
  readonly name: string
  readonly type: string
}

/**
 * What stands in the fact tables, row by row, and how a part of it is written anew.
 *
 * @throws EvidenceError WAREHOUSE_UNAVAILABLE from every method while it cannot be reached.
 */
export interface FactRows {
  /** In the order of the table; undefined when there is no such table. */
  columns(table: string): Promise<readonly Column[] | undefined>
  /** Every row of the range, doubled ones too, by position and row; cells stand in the order of `columns`. */
  rows(table: string, columns: readonly Column[], range: Range): AsyncIterable<readonly Cell[]>
  /** Puts these rows in the place of all that the range holds. If we stop between, the range is empty. */
  replace(table: string, range: Range, rows: readonly Row[]): Promise<void>
  /** Takes away exactly the rows of these events at these positions. */
  remove(
    table: string,
    rows: readonly { readonly position: string; readonly eventId: string }[],
  ): Promise<void>
}

/** Answers read-only SQL for people. */
export interface WarehouseQueries {
  /** @throws EvidenceError QUERY_INVALID for anything but a bounded read of the fact tables; WAREHOUSE_UNAVAILABLE. */
  query(
    sql: string,
    parameters: Readonly<Record<string, string | number | boolean>>,
  ): Promise<readonly Row[]>
}
