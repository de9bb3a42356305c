import type { GroupStore } from '../../contracts/subscription-group.js'
import type { RecordWriter, ClientWriter } from '../../ledger/writers.js'
import type { Identities } from '../../runtime/identities.js'
import type { LedgerView } from '../../runtime/ledger-view.js'
import type { Log } from '../../runtime/log.js'
import type { Callers, OtherCallers } from './caller.js'

/**
 * Everything the gRPC server is handed. As over HTTP, none of it can append an event that tells of a side
 * effect: the ledger comes as a view, and the two writers refuse every contract that is not theirs (law 3).
 */
export interface GrpcParts extends OtherCallers {
  readonly ledger: LedgerView
  readonly identities: Identities
  readonly recorder: RecordWriter
  readonly clients: ClientWriter
  /** Where the state of persistent subscriptions is kept. */
  readonly groups: GroupStore
  readonly now: () => number
  readonly newId: () => string
  readonly log: Log
}

export interface MethodParts extends GrpcParts {
  readonly callers: Callers
}
