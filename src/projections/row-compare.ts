import { createHash } from 'node:crypto'
import { differencesShownMax } from '../contracts/projection.js'
import { type CellForm, cellForm } from './row-form.js'
import type { Cell, Column, Row } from './warehouse.js'

/** A place where a table is not what the ledger folds to. */
export interface RowDifference {
  readonly kind: 'missing' | 'added' | 'changed'
  readonly position: string
  /** The event of the row as the ledger has it; of an added row, what the row says. */
  readonly eventId: string
  /** The first column that differs; of a changed row only. */
  readonly column?: string
}

/** Compares a table with what was folded, in the order of position and row. */
export interface RowComparison {
  /**
   * Compares one range; both sides come by position and row. Answers how many differences it has.
   */
  compare(expected: readonly Row[], found: AsyncIterable<readonly Cell[]>): Promise<number>
  /** Rows that nothing on the ledger stands for. */
  added(found: readonly Cell[]): void
  /** Of all ranges so far. */
  outcome(): {
    /** Rows that the ledger folds to. */
    readonly rows: number
    /** SHA-256 over them, each as the JSON array of its cells and a newline. */
    readonly sha256: string
    readonly differences: number
    /** The first of them. */
    readonly shown: readonly RowDifference[]
  }
}

interface Placed {
  readonly position: number
  readonly row: number
  readonly eventId: string
  readonly cells: readonly Cell[]
}

/** The text of a cell of a column that holds text or 64-bit numbers. */
export const textOf = (cell: Cell | undefined): string =>
  typeof cell === 'string' || typeof cell === 'number' ? String(cell) : ''

const before = (a: Placed, b: Placed): boolean =>
  a.position < b.position || (a.position === b.position && a.row < b.row)

/** @throws RangeError for columns that no fact table has. */
export function createRowComparison(columns: readonly Column[]): RowComparison {
  const forms = columns.map(({ type }): CellForm => cellForm(type))
  const at = (name: string) => columns.findIndex((column) => column.name === name)
  const [positionAt, rowAt, idAt] = [at('position'), at('row'), at('event_id')]
  const digest = createHash('sha256')
  const shown: RowDifference[] = []
  let rows = 0
  let differences = 0

  const placed = (cells: readonly Cell[]): Placed => ({
    position: Number(cells[positionAt]),
    row: Number(cells[rowAt]),
    eventId: textOf(cells[idAt]),
    cells,
  })
  const formed = (cells: readonly (Cell | undefined)[]): Placed =>
    placed(forms.map((form, i) => form(cells[i])))
  const differ = (kind: RowDifference['kind'], one: Placed, column?: string): void => {
    differences += 1
    if (shown.length >= differencesShownMax) return
    const position = textOf(one.cells[positionAt])
    shown.push({
      kind,
      position,
      eventId: one.eventId,
      ...(column === undefined ? {} : { column }),
    })
  }
  const sameCells = (wanted: Placed, given: Placed): void => {
    const first = columns.findIndex(
      (_, i) => JSON.stringify(wanted.cells[i]) !== JSON.stringify(given.cells[i]),
    )
    if (first !== -1) differ('changed', wanted, columns[first]?.name ?? '')
  }

  return {
    async compare(expected, found) {
      const had = differences
      const wanted = expected
        .map((row) => formed(columns.map(({ name }) => row[name])))
        .sort((a, b) => (before(a, b) ? -1 : 1))
      for (const { cells } of wanted) digest.update(`${JSON.stringify(cells)}\n`)
      rows += wanted.length
      let next = 0
      for await (const cells of found) {
        const given = formed(cells)
        for (let one = wanted[next]; one !== undefined && before(one, given); one = wanted[next]) {
          differ('missing', one)
          next += 1
        }
        const one = wanted[next]
        // A second row for the same place is as foreign as one for a place that should be empty.
        if (one === undefined || before(given, one)) differ('added', given)
        else {
          sameCells(one, given)
          next += 1
        }
      }
      for (const one of wanted.slice(next)) differ('missing', one)
      return differences - had
    },
    added: (cells) => differ('added', formed(cells)),
    outcome: () => ({ rows, sha256: digest.copy().digest('hex'), differences, shown }),
  }
}
