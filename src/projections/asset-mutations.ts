import {
  mutated,
  mutationFailed,
  mutationIndeterminate,
  mutationIntended,
  mutationResolved,
} from '../contracts/asset.js'
import { canonicalText } from '../contracts/canonical-json.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { defineProjector, on } from './projector.js'
import type { Row } from './warehouse.js'

const mutation = (
  data: {
    readonly mutation_id: string
    readonly asset_id: string
    readonly proposal_id: string
    readonly operation: string
  },
  event: RecordedEvent,
  outcome: 'intended' | 'mutated' | 'failed' | 'indeterminate',
): Row => ({
  mutation_id: data.mutation_id,
  asset_id: data.asset_id,
  proposal_id: data.proposal_id,
  operation: data.operation,
  event: event.leaf.type,
  outcome,
  resolved: false,
  changes: '[]',
  actor: event.leaf.actor,
})

/** Intent and outcome of every mutation. */
export const assetMutations = defineProjector({
  table: 'asset_mutations',
  version: 1,
  on: [
    on(mutationIntended, (data, event) => ({
      ...mutation(data, event, 'intended'),
      state_revision: data.state_revision,
      parameters_sha256: data.parameters_sha256,
      evidence_before: data.evidence_before,
    })),
    on(mutated, (data, event) => ({
      ...mutation(data, event, 'mutated'),
      state_revision: data.state_revision,
      state_sha256: data.state_sha256,
      changes: canonicalText(data.changes),
      evidence_after: data.evidence_after,
    })),
    on(mutationFailed, (data, event) => ({
      ...mutation(data, event, 'failed'),
      state_revision: data.state_revision,
      state_sha256: data.state_sha256,
      changes: canonicalText(data.changes),
      evidence_after: data.evidence_after,
      reason: data.reason,
    })),
    on(mutationIndeterminate, (data, event) => ({
      ...mutation(data, event, 'indeterminate'),
      reason: data.reason,
    })),
    on(mutationResolved, (data, event) => ({
      ...mutation(data, event, data.outcome),
      resolved: true,
      state_revision: data.state_revision,
      state_sha256: data.state_sha256,
      reason: data.reason,
    })),
  ],
})
