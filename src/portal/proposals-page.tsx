import { useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import { ProposalStatus, type ProposalSummary } from '../contracts/http.js'
import { type Columns, ListView } from './data-table.js'
import { FilterText } from './filter-text.js'
import { PageHead, StatusChip, Time } from './parts.js'
import { proposalsQuery } from './queries.js'
import { proposalTitle, sentence } from './words.js'

const route = getRouteApi('/proposals')

const columns: Columns<ProposalSummary> = [
  {
    id: 'change',
    header: 'Change',
    cell: ({ row }) => (
      <div className="cell-main">
        <Link to="/proposals/$id" params={{ id: row.original.id }}>
          {proposalTitle(row.original)}
        </Link>
        <span className="fine">{row.original.reason}</span>
      </div>
    ),
  },
  {
    id: 'status',
    header: 'Status',
    cell: ({ row }) => <StatusChip status={row.original.status} />,
  },
  {
    id: 'waits',
    header: 'Waits for, or why it ended',
    cell: ({ row }) => row.original.waiting_for ?? '–',
  },
  {
    id: 'approvals',
    header: 'Approvals',
    cell: ({ row }) =>
      row.original.approvals_required === 0
        ? '–'
        : `${row.original.approvals_given} of ${row.original.approvals_required}`,
  },
  { id: 'proposer', header: 'Proposer', cell: ({ row }) => row.original.proposer },
  {
    id: 'updated',
    header: 'Updated',
    cell: ({ row }) => <Time value={row.original.updated_at} />,
  },
]

export function ProposalsPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const list = useInfiniteQuery(proposalsQuery({ status: search.status, asset_id: search.asset }))
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data])
  const isFiltered = search.status !== undefined || search.asset !== undefined
  const chooseStatus = (value: string) => {
    const status = ProposalStatus.safeParse(value)
    void navigate({ search: { ...search, status: status.success ? status.data : undefined } })
  }
  return (
    <>
      <PageHead
        title="Proposals"
        actions={
          <Link to="/proposals/new" className="button button-main">
            Propose a change
          </Link>
        }
      />
      <form className="filters" onSubmit={(event) => event.preventDefault()} role="search">
        <label className="field">
          <span>Status</span>
          <select
            value={search.status ?? ''}
            onChange={(event) => chooseStatus(event.target.value)}
          >
            <option value="">Any</option>
            {ProposalStatus.options.map((status) => (
              <option key={status} value={status}>
                {sentence(status)}
              </option>
            ))}
          </select>
        </label>
        <FilterText
          key={search.asset ?? ''}
          label="Asset"
          value={search.asset}
          placeholder="asset_id"
          onChange={(asset) => void navigate({ search: { ...search, asset } })}
        />
        {isFiltered ? (
          <Link to="/proposals" className="button button-plain">
            Clear
          </Link>
        ) : null}
      </form>
      <ListView
        list={list}
        rows={rows}
        columns={columns}
        rowId={(row) => row.id}
        caption="Proposals, newest first"
        empty={
          isFiltered
            ? { title: 'No proposal matches', hint: 'Clear or change the filters above.' }
            : { title: 'Nobody has proposed a change yet', hint: 'Propose the first one.' }
        }
      />
    </>
  )
}
