import type { Leaf } from '../contracts/leaf.js'
import type { Writer } from '../contracts/identifiers.js'
import type { LedgerKey } from './signing-keys.js'
import type { StreamMetadataRecord } from './stream-metadata.js'

/** One event as its writer hands it over: already checked against its contract and encoded. */
export interface EventDraft {
  /** Lower-case UUID, unique per ledger. */
  readonly id: string
  readonly type: string
  /** Version of the contract as a decimal string, "0" when there is none. */
  readonly version: string
  readonly writer: Writer
  readonly actor: string
  readonly contentType: string
  readonly data: Uint8Array
  /** RFC 8785 JSON of `EventMetadata`, or the bytes a gRPC client sent. */
  readonly metadata: Uint8Array
}

/** The revision a stream must have: none yet, any at all, at least one, or exactly this last one. */
export type ExpectedRevision = 'any' | 'none' | 'exists' | number

/** The attempt of an activity in which something is appended. */
export interface AttemptName {
  readonly workflowId: string
  readonly activityId: string
  readonly activityType: string
}

export interface AppendRequest {
  readonly project: string
  readonly stream: string
  readonly expected: ExpectedRevision
  /** Given with every event of the writer `activity`: a ledger in another process asks for it. */
  readonly attempt?: AttemptName
  /** Appended together or not at all; at most `batchEventsMax`. */
  readonly events: readonly EventDraft[]
}

/** Where an acknowledged event stands. */
export interface Receipt {
  readonly id: string
  readonly stream: string
  readonly revision: number
  /** Opaque to callers; where the backend found it. */
  readonly cursor: string
  /** Leaf index; null until the event is sequenced (never null on the embedded engine). */
  readonly position: number | null
  /** True when this id and content were already on the ledger and nothing new was appended. */
  readonly repeated: boolean
  /** True when the data of that event was erased since: so its bytes could not be compared. */
  readonly erased: boolean
}

/** Bytes with the salt of their digest; null once erased. */
export interface SaltedBytes {
  readonly bytes: Uint8Array
  readonly salt: Uint8Array
}

/** One event of the sequenced log. */
export interface RecordedEvent {
  /** Leaf index, dense from 0. */
  readonly position: number
  readonly leaf: Leaf
  /** The exact text that is hashed, with its prefix. */
  readonly leafText: string
  /** RFC 6962 leaf hash, 32 bytes. */
  readonly leafHash: Uint8Array
  readonly data: SaltedBytes | null
  readonly metadata: SaltedBytes | null
}

export interface LogFilter {
  readonly project?: string
  /** Any of these stream name prefixes; absent = every stream. */
  readonly streamPrefixes?: readonly string[]
  /** Any of these types; absent = every type. */
  readonly types?: readonly string[]
}

export interface StreamRead {
  readonly project: string
  readonly stream: string
  /** First revision (forwards) or last revision (backwards); absent = from that end. */
  readonly from?: number
  readonly direction?: 'forwards' | 'backwards'
  readonly max?: number
  /** Also the events that the metadata of the stream hides; absent = only those that are shown. */
  readonly hidden?: boolean
}

export interface LogRead {
  /** First position (forwards, inclusive) or last position (backwards, inclusive); absent = that end. */
  readonly from?: number
  readonly direction?: 'forwards' | 'backwards'
  readonly max?: number
  readonly filter?: LogFilter
}

/** A catch-up subscription yields every matching event in order and says when it reached the head. */
export type Delivery =
  | { readonly kind: 'event'; readonly event: RecordedEvent }
  /** Every matching event below `position` was delivered; sent whenever the head is reached anew. */
  | { readonly kind: 'caught-up'; readonly position: number }

/** What a backend can do beyond the common core. */
export interface StoreCapabilities {
  /** Receipts carry their position at once, because sequencing is part of the commit. */
  readonly sequencedOnAppend: boolean
  /** `appendTogether` takes more than one stream. */
  readonly multiStreamAtomic: boolean
}

/** As many as clients of EventStoreDB append at once; `requestBytesMax` of the engine bounds their bytes. */
export const batchEventsMax = 32_768
export const dataBytesMax = 16 * 1024 * 1024
export const metadataBytesMax = 65_536

/** Reading half of the ledger: the sequenced log, its streams, and finding by id. */
export interface EventReader {
  readonly capabilities: StoreCapabilities
  /** Number of leaves sequenced and durable: the next position. */
  size(): number
  find(id: string): Promise<RecordedEvent | undefined>
  /** Last revision of a stream, or undefined when it has no event that is shown; `hidden` asks for any. */
  lastRevision(project: string, stream: string, hidden?: boolean): Promise<number | undefined>
  /**
   * The metadata that was last set for a stream, an event of `$$<stream>`. It hides a beginning of the
   * stream from `readStream` and `lastRevision` and from nothing else: finding by id, the log, every proof
   * and the expected revision know all events. Undefined when none was set.
   */
  streamMetadata(project: string, stream: string): Promise<StreamMetadataRecord | undefined>
  readStream(read: StreamRead): AsyncIterable<RecordedEvent>
  readLog(read?: LogRead): AsyncIterable<RecordedEvent>
  /** Ends when `signal` aborts. Slow readers slow themselves only: events are read from the store. */
  subscribe(options: {
    readonly from: number
    readonly filter?: LogFilter
    readonly signal: AbortSignal
  }): AsyncIterable<Delivery>
}

/**
 * The event store port: an append-only log in which events are first appended, then sequenced.
 *
 * Acknowledged means durable: `append` resolves after the bytes are synced. The events of one
 * request are appended together or not at all.
 */
export interface EventStore extends EventReader {
  /**
   * Appends and answers one receipt per event, in order.
   *
   * Ids are checked before the expected revision: when every id is already there with the same
   * stream, type, content type and data bytes, the original receipts are answered. `$$<stream>` takes
   * nothing but events of type `$metadata` whose data is such metadata; reserved categories have none.
   *
   * @throws EvidenceError EVENT_ID_REUSED id taken by other content, or only some ids known;
   * REVISION_CONFLICT with details `{project, stream, expected, actual}`; EVENT_TOO_LARGE;
   * LEDGER_BUSY with details `{retryAfterMs}`; LEDGER_READ_ONLY; DISK_FULL.
   */
  append(request: AppendRequest): Promise<readonly Receipt[]>
  /**
   * Appends to several streams together or not at all, each with an expected revision of its own,
   * in the order of the requests; the bounds of one request hold for all of them together. A request
   * without events only asks that its stream is as expected. A stream may stand there again, with the
   * expectation `any`, to go on behind the events of another one.
   * Answers the receipts of each request, in order. Ids are judged over the whole: all known with
   * the same content = the original receipts, only some known = EVENT_ID_REUSED. Needs
   * `capabilities.multiStreamAtomic`.
   *
   * @throws EvidenceError as `append`; REVISION_CONFLICT names the stream in its details.
   */
  appendTogether(requests: readonly AppendRequest[]): Promise<readonly (readonly Receipt[])[]>
  close(): Promise<void>
}

/** A published checkpoint: a C2SP signed note over the first `size` leaves. */
export interface PublishedCheckpoint {
  readonly origin: string
  readonly size: number
  /** RFC 6962 root, 32 bytes. */
  readonly root: Uint8Array
  /** The note text with its signature lines. */
  readonly note: string
}

/** The proving half of the ledger. */
export interface ProofSource {
  readonly origin: string
  /** C2SP verifier key that signs present checkpoints: the last of `keys`. */
  readonly vkey: string
  /** Every key that signed this ledger, each with its term, oldest first. */
  readonly keys: readonly LedgerKey[]
  /** The latest published checkpoint. */
  checkpoint(): PublishedCheckpoint
  /** The first published checkpoint whose size is above `position`; waits for it at most `timeoutMs`. */
  checkpointCovering(position: number, timeoutMs?: number): Promise<PublishedCheckpoint>
  /** Published checkpoints with a size above `size`, oldest first. */
  checkpointsAfter(size: number): AsyncIterable<PublishedCheckpoint>
  /** RFC 6962 inclusion path, leaf-sibling first. @throws EvidenceError TREE_RANGE. */
  proveInclusion(position: number, size: number): Promise<readonly Uint8Array[]>
  /** The hashes of `batchSubtrees` in batch-proof.ts: one proof for many leaves. @throws EvidenceError TREE_RANGE. */
  proveBatch(positions: readonly number[], size: number): Promise<readonly Uint8Array[]>
  /** RFC 6962 consistency proof. @throws EvidenceError TREE_RANGE. */
  proveConsistency(from: number, to: number): Promise<readonly Uint8Array[]>
}
