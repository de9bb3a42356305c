import {
  Empty,
  FilterOptions,
  Position,
  RecordedMessage,
  RpcStatus,
  StreamIdentifier,
  Timestamp,
  Uuid,
  UuidOption,
} from './messages.js'
import {
  bool,
  bytes,
  int32,
  int64,
  message,
  type MessageType,
  repeated,
  sub,
  text,
  textMap,
  uint32,
  uint64,
} from '../../contracts/protobuf.js'

/** The messages of `event_store.client.streams`. */

export const StreamOptions = message({
  streamIdentifier: sub(1, StreamIdentifier),
  revision: uint64(2),
  start: sub(3, Empty),
  end: sub(4, Empty),
})
export const AllOptions = message({
  position: sub(1, Position),
  start: sub(2, Empty),
  end: sub(3, Empty),
})
export const ReadOptions = message({
  stream: sub(1, StreamOptions),
  all: sub(2, AllOptions),
  direction: int32(3),
  resolveLinks: bool(4),
  count: uint64(5),
  subscription: sub(6, Empty),
  filter: sub(7, FilterOptions),
  noFilter: sub(8, Empty),
  uuidOption: sub(9, UuidOption),
  controlOption: sub(10, message({ compatibility: uint32(1) })),
})
export type ReadOptions = MessageType<typeof ReadOptions>
export const ReadRequest = message({ options: sub(1, ReadOptions) })

const Standing = message({
  timestamp: sub(1, Timestamp),
  streamRevision: int64(2),
  position: sub(3, Position),
})
const ReadEvent = message({
  event: sub(1, RecordedMessage),
  link: sub(2, RecordedMessage),
  commit: uint64(3),
  noPosition: sub(4, Empty),
})
export const ReadResponse = message({
  event: sub(1, ReadEvent),
  confirmation: sub(2, message({ subscriptionId: text(1) })),
  checkpoint: sub(
    3,
    message({ commit: uint64(1), prepare: uint64(2), timestamp: sub(3, Timestamp) }),
  ),
  streamNotFound: sub(4, message({ streamIdentifier: sub(1, StreamIdentifier) })),
  firstStreamPosition: uint64(5),
  lastStreamPosition: uint64(6),
  lastAllStreamPosition: sub(7, Position),
  caughtUp: sub(8, Standing),
  fellBehind: sub(9, Standing),
})
export type ReadResponse = MessageType<typeof ReadResponse>

export const ProposedMessage = message({
  id: sub(1, Uuid),
  metadata: textMap(2),
  customMetadata: bytes(3),
  data: bytes(4),
})
export type ProposedMessage = MessageType<typeof ProposedMessage>

const ExpectedRevisionOptions = message({
  streamIdentifier: sub(1, StreamIdentifier),
  revision: uint64(2),
  noStream: sub(3, Empty),
  any: sub(4, Empty),
  streamExists: sub(5, Empty),
})
export type ExpectedRevisionOptions = MessageType<typeof ExpectedRevisionOptions>

export const AppendRequest = message({
  options: sub(1, ExpectedRevisionOptions),
  proposedMessage: sub(2, ProposedMessage),
})
export type AppendRequest = MessageType<typeof AppendRequest>

const AppendSuccess = message({
  currentRevision: uint64(1),
  noStream: sub(2, Empty),
  position: sub(3, Position),
  noPosition: sub(4, Empty),
})
export type AppendSuccess = MessageType<typeof AppendSuccess>

export const AppendResponse = message({
  success: sub(1, AppendSuccess),
  wrongExpectedVersion: sub(
    2,
    message({
      currentRevision: uint64(6),
      currentNoStream: sub(7, Empty),
      expectedRevision: uint64(8),
      expectedAny: sub(9, Empty),
      expectedStreamExists: sub(10, Empty),
      expectedNoStream: sub(11, Empty),
    }),
  ),
})
export type AppendResponse = MessageType<typeof AppendResponse>

export const BatchAppendRequest = message({
  correlationId: sub(1, Uuid),
  options: sub(
    2,
    message({
      streamIdentifier: sub(1, StreamIdentifier),
      revision: uint64(2),
      noStream: sub(3, Empty),
      any: sub(4, Empty),
      streamExists: sub(5, Empty),
      deadlineAt: sub(6, Timestamp),
      deadlineIn: sub(7, Timestamp),
    }),
  ),
  proposedMessages: repeated(sub(3, ProposedMessage)),
  isFinal: bool(4),
})
export type BatchAppendRequest = MessageType<typeof BatchAppendRequest>

export const BatchAppendResponse = message({
  correlationId: sub(1, Uuid),
  error: sub(2, RpcStatus),
  success: sub(3, AppendSuccess),
  streamIdentifier: sub(4, StreamIdentifier),
  streamPosition: uint64(5),
  noStream: sub(6, Empty),
  any: sub(7, Empty),
  streamExists: sub(8, Empty),
})
export type BatchAppendResponse = MessageType<typeof BatchAppendResponse>

export const DeleteRequest = message({ options: sub(1, ExpectedRevisionOptions) })
export const DeleteResponse = message({ position: sub(1, Position), noPosition: sub(2, Empty) })

/** What a `Status` of BatchAppend carries as its details, `event_store.client.…`. */
export const WrongExpectedVersion = message({
  currentStreamRevision: uint64(1),
  currentNoStream: sub(2, Empty),
  expectedStreamPosition: uint64(3),
  expectedAny: sub(4, Empty),
  expectedStreamExists: sub(5, Empty),
  expectedNoStream: sub(6, Empty),
})
export const StreamDeleted = message({ streamIdentifier: sub(1, StreamIdentifier) })
export const MaximumAppendSizeExceeded = message({ maxAppendSize: uint32(1) })
export const BadRequest = message({ message: text(1) })
