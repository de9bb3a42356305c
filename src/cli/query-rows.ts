import { type Terminal, UsageError } from './command.js'
import { table } from './print.js'

type Rows = readonly Readonly<Record<string, unknown>>[]

const textOf = (cell: unknown) =>
  typeof cell === 'object' && cell !== null ? JSON.stringify(cell) : cell

/** Rows as people read them. */
export function cellTable(terminal: Terminal, rows: Rows): string {
  const headings = Object.keys(rows[0] ?? {})
  return table(
    terminal,
    headings,
    rows.map((row) => headings.map((name) => textOf(row[name]))),
  )
}

/** Rows in a form of other programs. @throws UsageError for one that is not written here. */
export function writtenRows(format: string, rows: Rows): string {
  if (format === 'json') return rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  if (format !== 'csv')
    throw new UsageError(`--format takes table, csv or json, not ${JSON.stringify(format)}`)
  const headings = Object.keys(rows[0] ?? {})
  const line = (cells: readonly unknown[]) => `${cells.map(csvCell).join(',')}\r\n`
  return [headings, ...rows.map((row) => headings.map((name) => row[name]))].map(line).join('')
}

/** RFC 4180: quoted where it must be; a cell that is null is empty. */
function csvCell(cell: unknown): string {
  const given = textOf(cell)
  const text =
    typeof given === 'string' || typeof given === 'number' || typeof given === 'boolean'
      ? String(given)
      : ''
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
