import { EvidenceError } from '../contracts/errors.js'
import { rangesShownMax } from '../contracts/projection.js'
import type { EventReader, ProofSource } from '../ledger/event-store.js'
import type { LogEntry, Projector } from '../projections/projector.js'
import {
  createRowComparison,
  type RowComparison,
  type RowDifference,
  textOf,
} from '../projections/row-compare.js'
import type { Column, FactRows, Range, Row, Warehouse } from '../projections/warehouse.js'
import { entriesOf, rangeEventsMax } from './log-entries.js'
import { chosenOf } from './project.js'

/** Rows beyond the end of the ledger that one check names and removes. */
export const strangersMax = 1_000

/** What a check found in one table. */
export interface TableCheck {
  readonly table: string
  readonly version: number
  /** `table-missing`: there is no such table; it has to be folded anew. */
  readonly state: 'sound' | 'differs' | 'table-missing'
  /** Every event below it was compared. */
  readonly position: number
  readonly rows: number
  readonly sha256: string
  readonly rawLeaves: number
  /** Events that the table cannot read; it must hold nothing of them. */
  readonly unreadable: number
  readonly differences: number
  readonly shown: readonly RowDifference[]
  /** Ranges that were written anew; empty without `repair`. */
  readonly repaired: readonly Range[]
}

export interface CheckWish {
  readonly tables?: readonly string[] | undefined
  readonly repair?: boolean | undefined
}

export interface CheckOptions extends CheckWish {
  readonly reader: EventReader
  readonly proofs: ProofSource
  readonly warehouse: FactRows & Pick<Warehouse, 'positions'>
  readonly projectors: readonly Projector[]
  readonly signal: AbortSignal
  readonly onProgress?: (progress: { readonly position: number; readonly size: number }) => void
}

/** A table under comparison. */
interface Checked {
  readonly projector: Projector
  readonly columns: readonly Column[]
  readonly comparison: RowComparison
  readonly position: number
  readonly epoch: number
  readonly repaired: Range[]
  unreadable: number
}

/**
 * Folds the ledger again and compares what every table holds with it, range by range and row by row, up to
 * where each table stands at the call. What differs is named; with `repair` its range is written anew.
 * Digests that the warehouse kept itself would prove nothing against whoever can write there.
 *
 * @throws EvidenceError WAREHOUSE_UNAVAILABLE, also when a table is folded anew meanwhile; REQUEST_INVALID
 * for an unknown table.
 */
export async function checkFacts(options: CheckOptions): Promise<readonly TableCheck[]> {
  const { warehouse, projectors, tables, signal, onProgress } = options
  const positions = await warehouse.positions()
  const checked: Checked[] = []
  const missing: TableCheck[] = []
  for (const projector of chosenOf(projectors, tables)) {
    const columns = await warehouse.columns(projector.table)
    const { position, epoch } = positions.get(projector.table) ?? { position: 0, epoch: 0 }
    if (columns === undefined) missing.push(tableMissing(projector))
    else
      checked.push({
        projector,
        columns,
        comparison: createRowComparison(columns),
        position,
        epoch,
        repaired: [],
        unreadable: 0,
      })
  }
  const size = Math.max(0, ...checked.map(({ position }) => position))
  const rawBelow = new Map<string, number>(checked.map(({ projector }) => [projector.table, 0]))
  for (let from = 0; from < size;) {
    signal.throwIfAborted()
    const { entries, end } = await entriesOf(
      options,
      from,
      Math.min(size, from + rangeEventsMax),
      false,
    )
    for (const table of checked) {
      const range = { from, to: Math.min(end, table.position) }
      if (range.from >= range.to) continue
      const own = entries.filter(({ event }) => event.position < range.to)
      const raw = range.to - range.from - own.length
      rawBelow.set(table.projector.table, (rawBelow.get(table.projector.table) ?? 0) + raw)
      await checkRange(options, table, range, own)
    }
    from = end
    onProgress?.({ position: from, size })
  }
  for (const table of checked) await checkBeyond(options, table)
  await refuseMoved(warehouse, checked)
  return [...missing, ...checked.map((table) => reportOf(table, rawBelow))]
}

/** Compares one range of one table, and writes it anew when that is wished. */
async function checkRange(
  { warehouse, repair = false }: CheckOptions,
  table: Checked,
  range: Range,
  entries: readonly LogEntry[],
): Promise<void> {
  const { projector, columns, comparison } = table
  const rows: Row[] = []
  const types = projector.types === 'all' ? undefined : new Set(projector.types)
  for (const entry of entries) {
    if (types?.has(entry.event.leaf.type) === false) continue
    try {
      rows.push(...projector.rows(entry))
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      table.unreadable += 1
    }
  }
  const found = warehouse.rows(projector.table, columns, range)
  if ((await comparison.compare(rows, found)) === 0 || !repair) return
  await warehouse.replace(projector.table, range, rows)
  if (table.repaired.length < rangesShownMax) table.repaired.push(range)
}

/** Rows of positions that the ledger does not have yet: nothing was folded into them. */
async function checkBeyond(
  { warehouse, reader, repair = false }: CheckOptions,
  { projector, columns, comparison, repaired }: Checked,
): Promise<void> {
  const beyond = { from: reader.size(), to: Number.POSITIVE_INFINITY }
  const at = (name: string) => columns.findIndex((column) => column.name === name)
  const [positionAt, idAt] = [at('position'), at('event_id')]
  const strangers: { position: string; eventId: string }[] = []
  for await (const cells of warehouse.rows(projector.table, columns, beyond)) {
    const position = textOf(cells[positionAt])
    // What was appended and folded since the question was asked is no stranger.
    if (Number(position) < reader.size()) continue
    comparison.added(cells)
    strangers.push({ position, eventId: textOf(cells[idAt]) })
    if (strangers.length >= strangersMax) break
  }
  if (strangers.length === 0 || !repair) return
  // By name, not by range: the projector may just be writing there.
  await warehouse.remove(projector.table, strangers)
  repaired.push(beyond)
}

/** A table that began anew while it was compared was compared with nothing. */
async function refuseMoved(
  warehouse: CheckOptions['warehouse'],
  checked: readonly Checked[],
): Promise<void> {
  const after = await warehouse.positions()
  for (const { projector, epoch } of checked) {
    if (after.get(projector.table)?.epoch !== epoch)
      throw new EvidenceError(
        'WAREHOUSE_UNAVAILABLE',
        `the table ${projector.table} was folded anew while it was checked`,
      )
  }
}

const tableMissing = ({ table, version }: Projector): TableCheck => ({
  table,
  version,
  state: 'table-missing',
  position: 0,
  rows: 0,
  sha256: createRowComparison([]).outcome().sha256,
  rawLeaves: 0,
  unreadable: 0,
  differences: 1,
  shown: [],
  repaired: [],
})

function reportOf(
  { projector, comparison, position, repaired, unreadable }: Checked,
  rawBelow: ReadonlyMap<string, number>,
): TableCheck {
  const { table, version } = projector
  const outcome = comparison.outcome()
  return {
    table,
    version,
    state: outcome.differences === 0 ? 'sound' : 'differs',
    position,
    rawLeaves: rawBelow.get(table) ?? 0,
    unreadable,
    repaired,
    ...outcome,
  }
}
