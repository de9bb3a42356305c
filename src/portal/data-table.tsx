import { type ColumnDef, tableFeatures, useTable } from '@tanstack/react-table'
import { Empty, ProblemNote, Waiting } from './parts.js'

export const features = tableFeatures({})
export type Columns<Row extends object> = readonly ColumnDef<typeof features, Row>[]

interface Listed {
  readonly isPending: boolean
  readonly isError: boolean
  readonly error: unknown
  readonly hasNextPage: boolean
  readonly isFetchingNextPage: boolean
  readonly refetch: () => unknown
  readonly fetchNextPage: () => unknown
}

/** A table that becomes a list of cards on narrow screens: each cell carries the name of its column. */
export function DataTable<Row extends object>({
  columns,
  rows,
  rowId,
  caption,
}: {
  readonly columns: Columns<Row>
  readonly rows: readonly Row[]
  readonly rowId: (row: Row) => string
  readonly caption: string
}) {
  const table = useTable({
    features,
    columns,
    data: rows,
    getRowId: rowId,
  })
  return (
    <table className="table">
      <caption className="unseen">{caption}</caption>
      <thead>
        {table.getHeaderGroups().map((group) => (
          <tr key={group.id}>
            {group.headers.map((header) => (
              <th key={header.id} scope="col">
                <table.FlexRender header={header} />
              </th>
            ))}
          </tr>
        ))}
      </thead>
      <tbody>
        {table.getRowModel().rows.map((row) => (
          <tr key={row.id}>
            {row.getAllCells().map((cell) => (
              <td key={cell.id} data-label={String(cell.column.columnDef.header)}>
                <table.FlexRender cell={cell} />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** A paged list in each of its states: being fetched, refused, empty, filled, with more to come. */
export function ListView<Row extends object>({
  list,
  empty,
  ...table
}: {
  readonly list: Listed
  readonly empty: { readonly title: string; readonly hint: string }
  readonly columns: Columns<Row>
  readonly rows: readonly Row[]
  readonly rowId: (row: Row) => string
  readonly caption: string
}) {
  if (list.isPending) return <Waiting rows={6} />
  if (list.isError) return <ProblemNote error={list.error} onRetry={() => void list.refetch()} />
  if (table.rows.length === 0) return <Empty title={empty.title}>{empty.hint}</Empty>
  return (
    <>
      <DataTable {...table} />
      <footer className="list-foot">
        <span className="fine">
          {table.rows.length} shown{list.hasNextPage ? '' : ', that is all'}
        </span>
        {list.hasNextPage ? (
          <button
            type="button"
            className="button"
            disabled={list.isFetchingNextPage}
            onClick={() => void list.fetchNextPage()}
          >
            {list.isFetchingNextPage ? 'Loading…' : 'Show more'}
          </button>
        ) : null}
      </footer>
    </>
  )
}
