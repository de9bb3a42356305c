import { EvidenceError } from '../contracts/errors.js'
import type { EventContract } from '../contracts/event.js'
import { hexOf } from '../ledger/encoding.js'
import type { PublishedCheckpoint, RecordedEvent } from '../ledger/event-store.js'
import { dataOf } from '../ledger/facts.js'
import type { Cell, Row } from './warehouse.js'

/** One leaf of the log, with the published checkpoint that ends at it, if one does. */
export interface LogEntry {
  readonly event: RecordedEvent
  readonly checkpoint?: PublishedCheckpoint
}

/** Folds the log into the rows of one fact table. Pure, so that a table can be rebuilt from 0. */
export interface Projector {
  readonly table: string
  /** Raise it when the rows or columns change: the table is then created anew and folded from 0. */
  readonly version: number
  /** Types of the events it reads; `all` is every event, whether of the catalogue or not. */
  readonly types: readonly string[] | 'all'
  /** @throws EvidenceError PROJECTION_FAILED when the event's data cannot be read. */
  rows(entry: LogEntry): readonly Row[]
}

/** The columns that every fact table begins with. */
export const placeOf = (event: RecordedEvent, row = 0): Row => ({
  position: String(event.position),
  row,
  event_id: event.leaf.id,
  leaf_hash: hexOf(event.leafHash),
  project: event.leaf.project,
  time: timeCell(event.leaf.time),
})

/** An RFC 3339 time as ClickHouse writes it in UTC; null outside the years that DateTime64 holds. */
export function timeCellOf(time: string | undefined): string | null {
  if (time === undefined) return null
  const milliseconds = Date.parse(time)
  if (Number.isNaN(milliseconds)) return null
  const text = new Date(milliseconds).toISOString()
  return text >= '1900' && text < '2299' ? timeCell(text) : null
}

/** A ledger time (UTC, milliseconds) as ClickHouse writes it. */
export const timeCell = (time: string): string => time.replace('T', ' ').replace('Z', '')

/** What follows the category of a stream: the id of the proposal, asset or workflow it tells of. */
export const subjectOf = (event: RecordedEvent): string =>
  event.leaf.stream.slice(event.leaf.stream.indexOf('-') + 1)

type Fold = (event: RecordedEvent) => Row | null

/** How the events of one contract become a row: the columns after the common ones; null is no row. */
export const on = <Data>(
  contract: EventContract<Data>,
  columns: (data: Data, event: RecordedEvent) => Readonly<Record<string, Cell>> | null,
): readonly [type: string, fold: Fold] => [
  contract.type,
  (event) => {
    const data = dataOf(contract, event)
    if (data === undefined) throw new Error('its data was erased')
    const own = columns(data, event)
    return own === null ? null : { ...placeOf(event), ...own }
  },
]

/** A projector with at most one row per event of the contracts it names. */
export function defineProjector(definition: {
  readonly table: string
  readonly version: number
  readonly on: readonly (readonly [type: string, fold: Fold])[]
}): Projector {
  const { table, version } = definition
  const folds = new Map(definition.on)
  return {
    table,
    version,
    types: [...folds.keys()],
    rows({ event }) {
      const fold = folds.get(event.leaf.type)
      if (fold === undefined) return []
      try {
        const row = fold(event)
        return row === null ? [] : [row]
      } catch (cause) {
        const detail = cause instanceof Error ? cause.message : String(cause)
        throw new EvidenceError(
          'PROJECTION_FAILED',
          `the table ${table} cannot read event ${event.leaf.id} (${event.leaf.type}, position ${event.position}): ${detail}`,
          {
            cause,
            details: {
              table,
              position: String(event.position),
              eventId: event.leaf.id,
              eventType: event.leaf.type,
              reasonCode: cause instanceof EvidenceError ? cause.code : 'PROJECTION_FAILED',
            },
          },
        )
      }
    },
  }
}
