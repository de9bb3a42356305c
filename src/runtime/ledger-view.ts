import type { EventReader, EventStore, ProofSource } from '../ledger/event-store.js'
import type { TileSource } from '../ledger/tiles.js'

/** The reading and proving halves of a ledger, and its tiles. */
export type LedgerView = EventReader & ProofSource & TileSource

/**
 * What entrances are handed instead of the ledger: the same answers, and no way to append.
 * Nothing that can write is reachable from the object.
 */
export const readingView = (ledger: EventStore & ProofSource & TileSource): LedgerView =>
  Object.freeze<LedgerView>({
    capabilities: ledger.capabilities,
    origin: ledger.origin,
    get vkey() {
      return ledger.vkey
    },
    get keys() {
      return ledger.keys
    },
    size: () => ledger.size(),
    find: (id) => ledger.find(id),
    lastRevision: (project, stream, hidden) => ledger.lastRevision(project, stream, hidden),
    streamMetadata: (project, stream) => ledger.streamMetadata(project, stream),
    readStream: (read) => ledger.readStream(read),
    readLog: (read) => ledger.readLog(read),
    subscribe: (options) => ledger.subscribe(options),
    checkpoint: () => ledger.checkpoint(),
    checkpointCovering: (position, timeoutMs) => ledger.checkpointCovering(position, timeoutMs),
    checkpointsAfter: (size) => ledger.checkpointsAfter(size),
    proveInclusion: (position, size) => ledger.proveInclusion(position, size),
    proveBatch: (positions, size) => ledger.proveBatch(positions, size),
    proveConsistency: (from, to) => ledger.proveConsistency(from, to),
    hashTile: (level, index, width) => ledger.hashTile(level, index, width),
    leaves: (from, count) => ledger.leaves(from, count),
  })
