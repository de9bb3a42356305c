import { Link } from '@tanstack/react-router'
import type { EventView } from '../contracts/http.js'
import { ListView } from './data-table.js'
import type { Columns } from './data-table.js'
import { Hash, Json, Time } from './parts.js'
import { ProofDialog } from './proof-dialog.js'

const dataOf = (event: EventView): unknown => event.data ?? event.data_base64 ?? null

const columns: Columns<EventView> = [
  { id: 'position', header: 'Position', cell: ({ row }) => row.original.position },
  {
    id: 'type',
    header: 'Event',
    cell: ({ row }) => (
      <details className="expandable cell-main">
        <summary>{row.original.type}</summary>
        <div className="expanded">
          <Json value={dataOf(row.original)} label={`Data of ${row.original.type}`} />
          <div className="pair">
            <span className="fine">Leaf hash</span>
            <Hash value={row.original.leafhash} label="leaf hash" />
          </div>
          <ProofDialog event={row.original.id} title={row.original.type} />
        </div>
      </details>
    ),
  },
  {
    id: 'stream',
    header: 'Stream',
    cell: ({ row }) => (
      <span className="stream">
        <Link to="/events" search={{ stream: row.original.stream }}>
          {row.original.stream}
        </Link>
        <span className="fine"> · {row.original.revision}</span>
      </span>
    ),
  },
  { id: 'actor', header: 'Actor', cell: ({ row }) => row.original.actor },
  { id: 'writer', header: 'Writer', cell: ({ row }) => row.original.writer },
  {
    id: 'time',
    header: 'Recorded',
    cell: ({ row }) => <Time value={row.original.recordedtime} />,
  },
]

/** Events with their data, hash and proof behind each row. */
export function EventRows(
  props: Omit<Parameters<typeof ListView<EventView>>[0], 'columns' | 'rowId'>,
) {
  return <ListView {...props} columns={columns} rowId={(row) => row.id} />
}
