import {
  Empty,
  FilterOptions,
  Position,
  RecordedMessage,
  StreamIdentifier,
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
  uint64,
} from '../../contracts/protobuf.js'

/** The messages of `event_store.client.persistent_subscriptions`. */

const Start = { revision: uint64(2), start: sub(3, Empty), end: sub(4, Empty) }
const Settings = message({
  resolveLinks: bool(1),
  revision: uint64(2),
  extraStatistics: bool(3),
  messageTimeoutTicks: int64(4),
  maxRetryCount: int32(5),
  checkpointAfterTicks: int64(6),
  minCheckpointCount: int32(7),
  maxCheckpointCount: int32(8),
  maxSubscriberCount: int32(9),
  liveBufferSize: int32(10),
  readBatchSize: int32(11),
  historyBufferSize: int32(12),
  namedConsumerStrategy: int32(13),
  messageTimeoutMs: int32(14),
  checkpointAfterMs: int32(15),
  consumerStrategy: text(16),
})
export type SettingsMessage = MessageType<typeof Settings>

const GroupOptions = message({
  streamIdentifier: sub(1, StreamIdentifier),
  group: text(2),
  settings: sub(3, Settings),
  stream: sub(4, message({ streamIdentifier: sub(1, StreamIdentifier), ...Start })),
  all: sub(
    5,
    message({
      position: sub(1, Position),
      start: sub(2, Empty),
      end: sub(3, Empty),
      filter: sub(4, FilterOptions),
      noFilter: sub(5, Empty),
    }),
  ),
})
export type GroupOptions = MessageType<typeof GroupOptions>
/** Creating and updating ask for the same. */
export const GroupRequest = message({ options: sub(1, GroupOptions) })

/** Which group a request is about; its fields are numbered otherwise in each of them. */
export interface NamedGroup {
  readonly streamIdentifier?: MessageType<typeof StreamIdentifier> | undefined
  readonly all?: object | undefined
  readonly group?: string | undefined
}

export const DeleteGroupRequest = message({
  options: sub(
    1,
    message({ streamIdentifier: sub(1, StreamIdentifier), group: text(2), all: sub(3, Empty) }),
  ),
})
export const GroupInfoRequest = message({
  options: sub(
    1,
    message({ streamIdentifier: sub(1, StreamIdentifier), all: sub(2, Empty), group: text(3) }),
  ),
})
export const ReplayRequest = message({
  options: sub(
    1,
    message({
      group: text(1),
      streamIdentifier: sub(2, StreamIdentifier),
      all: sub(3, Empty),
      stopAt: int64(4),
      noLimit: sub(5, Empty),
    }),
  ),
})
export const ListRequest = message({
  options: sub(
    1,
    message({
      listAll: sub(1, Empty),
      listForStream: sub(
        2,
        message({ streamIdentifier: sub(1, StreamIdentifier), all: sub(2, Empty) }),
      ),
    }),
  ),
})

const Connection = message({
  from: text(1),
  username: text(2),
  averageItemsPerSecond: int32(3),
  totalItems: int64(4),
  countSinceLastMeasurement: int64(5),
  observedMeasurements: repeated(sub(6, message({ key: text(1), value: int64(2) }))),
  availableSlots: int32(7),
  inFlightMessages: int32(8),
  connectionName: text(9),
})
export const GroupInfo = message({
  eventSource: text(1),
  groupName: text(2),
  status: text(3),
  connections: repeated(sub(4, Connection)),
  averagePerSecond: int32(5),
  totalItems: int64(6),
  countSinceLastMeasurement: int64(7),
  lastCheckpointedEventPosition: text(8),
  lastKnownEventPosition: text(9),
  resolveLinkTos: bool(10),
  startFrom: text(11),
  messageTimeoutMilliseconds: int32(12),
  extraStatistics: bool(13),
  maxRetryCount: int32(14),
  liveBufferSize: int32(15),
  bufferSize: int32(16),
  readBatchSize: int32(17),
  checkPointAfterMilliseconds: int32(18),
  minCheckPointCount: int32(19),
  maxCheckPointCount: int32(20),
  readBufferCount: int32(21),
  liveBufferCount: int64(22),
  retryBufferCount: int32(23),
  totalInFlightMessages: int32(24),
  outstandingMessagesCount: int32(25),
  namedConsumerStrategy: text(26),
  maxSubscriberCount: int32(27),
  parkedMessageCount: int64(28),
})
export type GroupInfo = MessageType<typeof GroupInfo>
export const GroupInfoResponse = message({ info: sub(1, GroupInfo) })
export const ListResponse = message({ groups: repeated(sub(1, GroupInfo)) })

export const ConsumeRequest = message({
  options: sub(
    1,
    message({
      streamIdentifier: sub(1, StreamIdentifier),
      group: text(2),
      bufferSize: int32(3),
      uuidOption: sub(4, UuidOption),
      all: sub(5, Empty),
    }),
  ),
  ack: sub(2, message({ id: bytes(1), ids: repeated(sub(2, Uuid)) })),
  nack: sub(
    3,
    message({ id: bytes(1), ids: repeated(sub(2, Uuid)), action: int32(3), reason: text(4) }),
  ),
})
export type ConsumeRequest = MessageType<typeof ConsumeRequest>
export const ConsumeResponse = message({
  event: sub(
    1,
    message({
      event: sub(1, RecordedMessage),
      link: sub(2, RecordedMessage),
      commit: uint64(3),
      noPosition: sub(4, Empty),
      retryCount: int32(5),
      noRetryCount: sub(6, Empty),
    }),
  ),
  confirmation: sub(2, message({ subscriptionId: text(1) })),
})
