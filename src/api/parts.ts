import type { FastifyServerOptions } from 'fastify'
import type { HudView } from '../contracts/http.js'
import type { RawLeafWriter } from '../ledger/raw-leaf.js'
import type { SealedHeads } from '../ledger/sealed-heads.js'
import type { LedgerVerifier } from '../ledger/verification.js'
import type { WitnessedCheckpoints } from '../ledger/witnessed.js'
import type { ClientWriter, RecordWriter } from '../ledger/writers.js'
import type { GraphQueries } from '../ontology/graph-queries.js'
import type { GraphText } from '../ontology/graph-text.js'
import type { WarehouseQueries } from '../projections/warehouse.js'
import type { PolicyEngine } from '../proposals/policy-engine.js'
import type { ProposalDesk } from '../proposals/proposal.js'
import type { AssetViews } from '../runtime/asset-view.js'
import type { Identities } from '../runtime/identities.js'
import type { LedgerView } from '../runtime/ledger-view.js'
import type { Lineage } from '../runtime/lineage-view.js'
import type { FactCheckWish } from '../runtime/step-names.js'
import type { Sessions } from './sessions.js'

/** How far one fact table was folded. */
export interface TableProgress {
  readonly table: string
  /** The next position the table has not seen. */
  readonly position: number
}

/** What the entrances may ask of the projector. */
export interface ProjectionControl {
  progress(): readonly TableProgress[]
  /** Asks anew, where the tables are folded elsewhere. @throws EvidenceError WAREHOUSE_UNAVAILABLE. */
  refresh?(): Promise<void>
  /** Empties every fact table and begins to fold it from 0; resolves when that has begun. */
  rebuild(): Promise<void>
}

/** Comparing the fact tables with the ledger: a workflow does it, here it is asked for. */
export interface FactChecks {
  /** @throws EvidenceError EXECUTION_UNAVAILABLE while Temporal cannot be reached. */
  request(id: string, wish: FactCheckWish): Promise<void>
  /** How far the check that runs in this process is. */
  running(): { readonly position: number; readonly size: number } | null
}

export interface Health {
  readonly ready: boolean
  readonly parts: HudView['parts']
}

/**
 * Everything the HTTP server is handed. None of it can append an event that tells of a side effect:
 * the ledger comes as a view, and the two writers refuse every contract that is not theirs (law 3).
 */
export interface ApiParts {
  readonly ledger: LedgerView
  /** The map of the last seal. */
  readonly heads: SealedHeads
  readonly desk: ProposalDesk
  readonly identities: Identities
  readonly sessions: Sessions
  readonly recorder: RecordWriter
  readonly clients: ClientWriter
  /** Null in a ledger that takes no raw leaves: then `/add` is not there. */
  readonly rawLeaves: RawLeafWriter | null
  readonly policies: PolicyEngine
  readonly assets: AssetViews
  readonly lineage: Lineage
  readonly graphText: GraphText
  readonly graphs: Pick<GraphQueries, 'ask'>
  readonly queries: WarehouseQueries
  readonly projections: ProjectionControl
  /** Absent when this process folds no fact tables or runs no workflows. */
  readonly factChecks?: FactChecks
  readonly health: () => Promise<Health>
  /** Absent when nobody witnesses this ledger. */
  readonly witnessed?: WitnessedCheckpoints
  /** Absent when the ledger is not verified in the background. */
  readonly verifier?: LedgerVerifier
}

export interface ApiOptions {
  /** The host of the configured listen address: together with the loopback names all that Host may say. */
  readonly host: string
  /** Folder of the built portal; null serves no portal. */
  readonly portalFolder: string | null
  /** Whether anybody may read the leaves; absent = only who has a token. */
  readonly publicTiles?: boolean
  readonly logger?: FastifyServerOptions['logger']
}
