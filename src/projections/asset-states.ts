import {
  assetObserved,
  assetRegistered,
  type AssetState,
  mutated,
  mutationFailed,
  mutationResolved,
} from '../contracts/asset.js'
import { canonicalText } from '../contracts/canonical-json.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { defineProjector, on } from './projector.js'
import type { Row } from './warehouse.js'

interface Recorded {
  readonly asset_id: string
  readonly state_revision: string
  readonly state: AssetState
  readonly state_sha256: string
  readonly proposal_id?: string
}

const state = (data: Recorded, event: RecordedEvent): Row => ({
  asset_id: data.asset_id,
  state_revision: data.state_revision,
  event: event.leaf.type,
  kind: data.state.kind,
  run_state: data.state.run_state,
  state: canonicalText(data.state),
  state_sha256: data.state_sha256,
  proposal_id: data.proposal_id ?? null,
  actor: event.leaf.actor,
})

/** Every recorded state; each holds until the next one of the same asset. */
export const assetStates = defineProjector({
  table: 'asset_states',
  version: 1,
  on: [
    on(assetRegistered, (data, event) => ({
      ...state(data, event),
      role: data.spec.role,
      spec_sha256: data.spec_sha256,
    })),
    on(mutated, state),
    on(mutationFailed, state),
    on(mutationResolved, state),
    on(assetObserved, (data, event) => ({ ...state(data, event), cause: data.cause })),
  ],
})
