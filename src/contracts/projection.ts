import * as z from 'zod'
import { defineEvent } from './event.js'
import { Decimal, Sha256Hex, Uuid } from './identifiers.js'

export const differencesShownMax = 20
export const rangesShownMax = 100

export const FactTable = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'the name of a fact table')

const Range = z.strictObject({
  from: Decimal,
  /** The first position behind it; null = whatever comes. */
  to: Decimal.nullable(),
})

export const ProjectionChecked = z.strictObject({
  table: FactTable,
  /** Of the projector. */
  projector_version: Decimal,
  state: z.enum(['sound', 'differs', 'table-missing']),
  /** Every event below it was compared. */
  position: Decimal,
  /** Rows that the ledger folds to, and SHA-256 over them in order: each the JSON array of its cells and a newline. */
  rows: Decimal,
  rows_sha256: Sha256Hex,
  /** Leaves below the position that are no events and have no row. */
  raw_leaves: Decimal,
  /** Events that the table cannot read and must hold nothing of. */
  unreadable: Decimal,
  differences: Decimal,
  /** The first of them. */
  found: z
    .array(
      z.strictObject({
        kind: z.enum(['missing', 'added', 'changed']),
        /** As the row has it: an added one may name a position that no ledger reaches. */
        position: z.string().regex(/^[0-9]{1,20}$/),
        event_id: Uuid,
        /** The first column that differs; of a changed row only. */
        column: z.string().max(64).optional(),
      }),
    )
    .max(differencesShownMax),
})

export const projectionChecked = defineEvent({
  type: 'projection.checked',
  version: '1',
  writer: 'activity',
  category: 'projection',
  summary: 'A fact table was compared, row by row, with what the ledger folds to',
  schema: ProjectionChecked,
  example: {
    table: 'approvals',
    projector_version: '1',
    state: 'differs',
    position: '120431',
    rows: '311',
    rows_sha256: 'd'.repeat(64),
    raw_leaves: '0',
    unreadable: '0',
    differences: '1',
    found: [
      {
        kind: 'changed',
        position: '1203',
        event_id: '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11',
        column: 'approver',
      },
    ],
  },
})

export const projectionRebuilt = defineEvent({
  type: 'projection.rebuilt',
  version: '1',
  writer: 'activity',
  category: 'projection',
  summary:
    'Ranges of a fact table were folded anew from the ledger, because a check found them wrong',
  schema: z.strictObject({
    table: FactTable,
    projector_version: Decimal,
    /** The `projection.checked` that asked for it. */
    check_id: Uuid,
    /** Empty when an attempt before this one wrote them and could not tell. */
    ranges: z.array(Range).max(rangesShownMax),
  }),
  example: {
    table: 'approvals',
    projector_version: '1',
    check_id: '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11',
    ranges: [{ from: '0', to: '10000' }],
  },
})

export const projectionStalled = defineEvent({
  type: 'projection.stalled',
  version: '1',
  writer: 'ledger',
  category: 'projection',
  summary:
    'A fact table stopped at an event that its projector cannot read; the other tables go on',
  schema: z.strictObject({
    table: FactTable,
    projector_version: Decimal,
    /** Where the table stopped, and the event that stands there. */
    position: Decimal,
    event_id: Uuid,
    event_type: z.string().max(256),
    /** Code of the error; its words may quote the event and stay in the log of the service. */
    reason_code: z.string().max(64),
  }),
  example: {
    table: 'evidence',
    projector_version: '1',
    position: '1203',
    event_id: '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11',
    event_type: 'evidence.recorded',
    reason_code: 'EVENT_VERSION_UNKNOWN',
  },
})

export const projectionEvents = [projectionChecked, projectionRebuilt, projectionStalled] as const
