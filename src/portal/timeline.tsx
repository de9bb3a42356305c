import type { TimelineEntry } from '../contracts/http.js'
import { Expandable, Facts, Hash, Json, Time } from './parts.js'

/** Every event of a change in ledger order, each leading to its proof. */
export function Timeline({
  entries,
  onProve,
}: {
  readonly entries: readonly TimelineEntry[]
  readonly onProve: (event: string) => void
}) {
  return (
    <ol className="timeline">
      {entries.map((entry) => (
        <li key={entry.event_id} data-writer={entry.writer}>
          <div className="timeline-head">
            <span className="timeline-summary">{entry.summary}</span>
            <button
              type="button"
              className="button button-small"
              onClick={() => onProve(entry.event_id)}
              aria-label={`Prove ${entry.type} at position ${entry.position}`}
            >
              Prove
            </button>
          </div>
          <p className="fine">
            <code>{entry.type}</code> · {entry.actor} · {entry.writer} · position {entry.position} ·{' '}
            <Time value={entry.time} exact />
          </p>
          <Expandable summary="Data and place">
            <Facts
              rows={[
                ['Stream', `${entry.stream} · revision ${entry.revision}`],
                ['Event id', <Hash key="e" value={entry.event_id} label="event id" />],
                ['Leaf hash', <Hash key="l" value={entry.leaf_hash} label="leaf hash" />],
              ]}
            />
            {entry.data === null ? (
              <p>The data was erased; its digest stays on the ledger.</p>
            ) : (
              <Json value={entry.data} label={`Data of ${entry.type}`} />
            )}
          </Expandable>
        </li>
      ))}
    </ol>
  )
}
