import {
  bool,
  bytes,
  message,
  type MessageType,
  repeated,
  sub,
  text,
  uint32,
  uint64,
} from './protobuf.js'

/**
 * The service `fractalops.ledger.v1.Ledger`, by which a process without the ledger reaches one that has it. The
 * same is published as `schemas/ledger.v1.proto`. Numbers in it are below 2^53.
 */
export const ledgerRpcName = 'fractalops.ledger.v1.Ledger'
export const ledgerMethod = (name: string): string => `/${ledgerRpcName}/${name}`

export const Empty = message({})
const Key = message({ vkey: text(1), signingFrom: uint64(2) })
export const Checkpoint = message({
  origin: text(1),
  size: uint64(2),
  root: bytes(3),
  note: text(4),
})
export const Notice = message({ code: text(1), message: text(2) })
/** How the ledger stands; sent at once and whenever it changes. */
export const Standing = message({
  origin: text(1),
  size: uint64(2),
  keys: repeated(sub(3, Key)),
  checkpoint: sub(4, Checkpoint),
  sequencedOnAppend: bool(5),
  multiStreamAtomic: bool(6),
  alarms: repeated(sub(7, Notice)),
  readOnly: sub(8, Notice),
  lacksSpace: sub(9, Notice),
})
export type Standing = MessageType<typeof Standing>
const Salted = message({ bytes: bytes(1), salt: bytes(2) })
export const Recorded = message({
  position: uint64(1),
  leaf: text(2),
  data: sub(3, Salted),
  metadata: sub(4, Salted),
})
/** Events in order; in a subscription also that the head was reached, behind them. */
export const Events = message({ events: repeated(sub(1, Recorded)), caughtUp: uint64(2) })
export type Events = MessageType<typeof Events>

export const Draft = message({
  id: text(1),
  type: text(2),
  version: text(3),
  writer: text(4),
  actor: text(5),
  contentType: text(6),
  data: bytes(7),
  metadata: bytes(8),
})
export const AttemptName = message({
  workflowId: text(1),
  activityId: text(2),
  activityType: text(3),
})
export const AppendHead = message({
  project: text(1),
  stream: text(2),
  /** One of these; none = any revision. */
  none: bool(3),
  exists: bool(4),
  exactly: uint64(5),
  attempt: sub(6, AttemptName),
})
/** A head begins the next stream, its events follow it; several streams are appended together. */
export const AppendPart = message({ head: sub(1, AppendHead), event: sub(2, Draft) })
export type AppendPart = MessageType<typeof AppendPart>
export const AppendReceipt = message({
  id: text(1),
  stream: text(2),
  revision: uint64(3),
  cursor: text(4),
  position: uint64(5),
  repeated: bool(6),
  erased: bool(7),
})
const Receipts = message({ receipts: repeated(sub(1, AppendReceipt)) })
export const AppendAnswer = message({ streams: repeated(sub(1, Receipts)), size: uint64(2) })

export const FindRequest = message({ id: text(1) })
export const StreamRequest = message({ project: text(1), stream: text(2), hidden: bool(3) })
/** Absent members = there is none. */
export const NumberAnswer = message({ value: uint64(1) })
/** The metadata is JSON; the revision is that of its own stream. */
export const MetadataAnswer = message({ revision: uint64(1), metadata: text(2) })
export const StreamReadRequest = message({
  project: text(1),
  stream: text(2),
  from: uint64(3),
  backwards: bool(4),
  max: uint64(5),
  hidden: bool(6),
})
export const Filter = message({
  project: text(1),
  /** Present = any of these prefixes or types. */
  byPrefix: bool(2),
  streamPrefixes: repeated(text(3)),
  byType: bool(4),
  types: repeated(text(5)),
})
export const LogRequest = message({
  from: uint64(1),
  backwards: bool(2),
  max: uint64(3),
  filter: sub(4, Filter),
})
export type LogRequest = MessageType<typeof LogRequest>
export const CoveringRequest = message({ position: uint64(1), timeoutMs: uint32(2) })
export const AfterRequest = message({ size: uint64(1) })
/** One position and a size: inclusion. Several: one proof for all. `from`: consistency. */
export const ProofRequest = message({
  size: uint64(1),
  position: uint64(2),
  positions: repeated(uint64(3)),
  from: uint64(4),
})
export const Hashes = message({ hashes: repeated(bytes(1)) })
export const HeadRequest = message({ kind: text(1), project: text(2), name: text(3) })
export const HeadPart = message({ key: bytes(1), number: uint64(2), leafHash: bytes(3) })
const Sibling = message({ hash: bytes(1) })
export const HeadAnswer = message({
  /** The event of the seal; absent = nothing is sealed. */
  event: sub(1, Recorded),
  head: sub(2, HeadPart),
  siblings: repeated(sub(3, Sibling)),
  other: sub(4, HeadPart),
})
export const TileRequest = message({ level: uint32(1), index: uint64(2), width: uint32(3) })
export const LeavesRequest = message({ from: uint64(1), count: uint32(2) })
export const TypeRequest = message({ project: text(1), type: text(2), typeSeq: uint64(3) })
