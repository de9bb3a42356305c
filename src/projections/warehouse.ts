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

/** Answers read-only SQL for people. */
export interface WarehouseQueries {
  /** @throws EvidenceError QUERY_INVALID for anything but a bounded read of the fact tables; WAREHOUSE_UNAVAILABLE. */
  query(
    sql: string,
    parameters: Readonly<Record<string, string | number | boolean>>,
  ): Promise<readonly Row[]>
}
