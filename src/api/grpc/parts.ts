import type { GroupStore } from '../../contracts/subscription-group.js'
import type { RecordWriter, ClientWriter } from '../../ledger/writers.js'
import type { Identities } from '../../runtime/identities.js'
import type { LedgerView } from '../../runtime/ledger-view.js'
import type { Log } from '../../runtime/log.js'
import type { WorkerDirectory } from '../../proposals/worker-directory.js'
import type { Callers, OtherCallers } from './caller.js'
import type { RemoteParts } from './ledger-methods.js'

/**
 * Everything the gRPC server is handed. As over HTTP, nothing that a token reaches can append an event that
 * tells of a side effect: the ledger comes as a view, and the two writers refuse every contract that is not theirs.
 * Only `remote` can, for processes whose key was enrolled (law 3).
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
  /** What enrolled processes reach; absent = none is let in. */
  readonly remote?: Omit<RemoteParts, 'ledger' | 'callers'> & { readonly workers: WorkerDirectory }
}

export interface MethodParts extends GrpcParts {
  readonly callers: Callers
}
