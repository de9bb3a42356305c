import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import type { AssetView } from '../contracts/http.js'
import { type Columns, ListView } from './data-table.js'
import { Chip, PageHead, Time } from './parts.js'
import { assetsQuery } from './queries.js'
import { outcomeTone, sentence } from './words.js'

const healthyOf = ({ state }: AssetView) =>
  `${state.replicas.filter((replica) => replica.healthy).length} of ${state.desired.replicas}`

const columns: Columns<AssetView> = [
  {
    id: 'asset',
    header: 'Asset',
    cell: ({ row }) => (
      <Link to="/assets/$id" params={{ id: row.original.asset_id }}>
        {row.original.asset_id}
      </Link>
    ),
  },
  {
    id: 'state',
    header: 'State',
    cell: ({ row }) => (
      <span className="chips">
        <Chip tone={outcomeTone(row.original.state.run_state)}>
          {sentence(row.original.state.run_state)}
        </Chip>
        {row.original.mutation === null ? null : (
          <Chip tone={outcomeTone(row.original.mutation.status)}>
            {row.original.mutation.operation}: {sentence(row.original.mutation.status)}
          </Chip>
        )}
      </span>
    ),
  },
  { id: 'role', header: 'Role', cell: ({ row }) => row.original.role },
  { id: 'kind', header: 'Kind', cell: ({ row }) => row.original.kind },
  { id: 'healthy', header: 'Healthy replicas', cell: ({ row }) => healthyOf(row.original) },
  { id: 'revision', header: 'State revision', cell: ({ row }) => row.original.state_revision },
  {
    id: 'recorded',
    header: 'State recorded',
    cell: ({ row }) => <Time value={row.original.recorded_at} />,
  },
]

export function AssetsPage() {
  const list = useInfiniteQuery(assetsQuery)
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data])
  return (
    <>
      <PageHead
        title="Assets"
        actions={
          <Link to="/proposals/new" search={{ operation: 'register' }} className="button">
            Register an asset
          </Link>
        }
      />
      <ListView
        list={list}
        rows={rows}
        columns={columns}
        rowId={(row) => row.asset_id}
        caption="Assets under control"
        empty={{
          title: 'No asset is under control yet',
          hint: 'Register one: a proposal of its own says what it is and who wants it.',
        }}
      />
    </>
  )
}
