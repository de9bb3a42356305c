import { useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import { catalog } from '../contracts/catalog.js'
import { EventRows } from './event-rows.js'
import { FilterText } from './filter-text.js'
import { PageHead } from './parts.js'
import { eventsQuery } from './queries.js'

const route = getRouteApi('/events')
const types = catalog.map((contract) => contract.type)

export function EventsPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const list = useInfiniteQuery(eventsQuery({ ...search, order: 'newest' }))
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data])
  const isFiltered = search.type !== undefined || search.stream !== undefined
  return (
    <>
      <PageHead title="Events" lead="Everything on the ledger as it was recorded, newest first." />
      <form className="filters" onSubmit={(event) => event.preventDefault()} role="search">
        <FilterText
          key={`type ${search.type ?? ''}`}
          label="Type"
          value={search.type}
          placeholder="asset.mutated"
          choices={types}
          onChange={(type) => void navigate({ search: { ...search, type } })}
        />
        <FilterText
          key={`stream ${search.stream ?? ''}`}
          label="Stream"
          value={search.stream}
          placeholder="asset-web-01"
          onChange={(stream) => void navigate({ search: { ...search, stream } })}
        />
        {isFiltered ? (
          <Link to="/events" className="button button-plain">
            Clear
          </Link>
        ) : null}
      </form>
      <EventRows
        list={list}
        rows={rows}
        caption="Events of the ledger, newest first"
        empty={
          isFiltered
            ? { title: 'No event matches', hint: 'Clear or change the filters above.' }
            : { title: 'The ledger is empty', hint: 'Its first events appear here.' }
        }
      />
    </>
  )
}
