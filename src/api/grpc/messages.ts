import {
  bool,
  bytes,
  int32,
  int64,
  message,
  repeated,
  sub,
  text,
  textMap,
  uint32,
  uint64,
} from '../../contracts/protobuf.js'
import type { MessageType } from '../../contracts/protobuf.js'

/** The messages of the EventStoreDB protocol that more than one of its parts uses. */

export const Empty = message({})
/** Says something by being there. */
export const empty = Object.freeze({})

export const StructuredUuid = message({
  mostSignificantBits: int64(1),
  leastSignificantBits: int64(2),
})
export const Uuid = message({ structured: sub(1, StructuredUuid), text: text(2) })
export type Uuid = MessageType<typeof Uuid>

export const StreamIdentifier = message({ streamName: bytes(3) })
export type StreamIdentifier = MessageType<typeof StreamIdentifier>

export const Position = message({ commit: uint64(1), prepare: uint64(2) })
export const Timestamp = message({ seconds: int64(1), nanos: int32(2) })

export const Expression = message({ regex: text(1), prefixes: repeated(text(2)) })
export const FilterOptions = message({
  streamIdentifier: sub(1, Expression),
  eventType: sub(2, Expression),
  max: uint32(3),
  count: sub(4, Empty),
  checkpointIntervalMultiplier: uint32(5),
})
export type FilterOptions = MessageType<typeof FilterOptions>

export const UuidOption = message({ structured: sub(1, Empty), text: sub(2, Empty) })

export const RecordedMessage = message({
  id: sub(1, Uuid),
  streamIdentifier: sub(2, StreamIdentifier),
  streamRevision: uint64(3),
  prepare: uint64(4),
  commit: uint64(5),
  metadata: textMap(6),
  customMetadata: bytes(7),
  data: bytes(8),
})
export type RecordedMessage = MessageType<typeof RecordedMessage>

/** `google.rpc.Status` in the form of this protocol: its details are one `Any`. */
export const Any = message({ typeUrl: text(1), value: bytes(2) })
export const RpcStatus = message({ code: int32(1), message: text(2), details: sub(3, Any) })

export const SupportedMethod = message({
  methodName: text(1),
  serviceName: text(2),
  features: repeated(text(3)),
})
export const SupportedMethods = message({
  methods: repeated(sub(1, SupportedMethod)),
  version: text(2),
})

export const EndPoint = message({ address: text(1), port: uint32(2) })
export const MemberInfo = message({
  instanceId: sub(1, Uuid),
  timeStamp: int64(2),
  state: int32(3),
  isAlive: bool(4),
  httpEndPoint: sub(5, EndPoint),
})
export const ClusterInfo = message({ members: repeated(sub(1, MemberInfo)) })
