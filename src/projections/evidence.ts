import { evidenceCaptured, evidenceRecorded } from '../contracts/evidence.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { metadataOf } from '../ledger/facts.js'
import { defineProjector, on, subjectOf, timeCellOf } from './projector.js'
import type { Row } from './warehouse.js'

const body = (
  data: {
    readonly sha256: string
    readonly media_type: string
    readonly size: number
    readonly location?: string | undefined
    readonly description?: string | undefined
  },
  event: RecordedEvent,
): Row => {
  const metadata = metadataOf(event)
  return {
    subject: subjectOf(event),
    stream: event.leaf.stream,
    sha256: data.sha256,
    media_type: data.media_type,
    size: data.size,
    location: data.location ?? null,
    description: data.description ?? null,
    occurred_at: timeCellOf(metadata.occurred_at),
    source: metadata.source ?? null,
    actor: event.leaf.actor,
  }
}

/** Every piece of evidence and where it is kept. */
export const evidence = defineProjector({
  table: 'evidence',
  version: 1,
  on: [
    on(evidenceRecorded, (data, event) => ({
      kind: 'recorded',
      ...body(data, event),
      attributes: data.attributes ?? {},
    })),
    on(evidenceCaptured, (data, event) => ({
      kind: 'captured',
      ...body(data, event),
      attributes: {},
      proposal_id: data.proposal_id,
      asset_id: data.asset_id,
      phase: data.phase,
    })),
  ],
})
