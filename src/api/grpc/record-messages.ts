import {
  bool,
  bytes,
  double,
  int32,
  mapOf,
  message,
  type MessageType,
  repeated,
  sint64,
  sub,
  text,
} from '../../contracts/protobuf.js'

/** The messages of `kurrentdb.protocol.v2.streams`. */

/** `google.protobuf.Value`: what is not a single value is seen as there, and not read. */
const Value = message({
  nothing: int32(1),
  number: double(2),
  text: text(3),
  truth: bool(4),
  struct: bytes(5),
  list: bytes(6),
})
export type Value = MessageType<typeof Value>

export const AppendRecord = message({
  recordId: text(1),
  properties: mapOf(2, sub(2, Value), {}),
  schema: sub(3, message({ format: int32(1), name: text(2), id: text(3) })),
  data: bytes(4),
  stream: text(5),
})
export type AppendRecord = MessageType<typeof AppendRecord>

export const SessionAppend = message({
  stream: text(1),
  records: repeated(sub(2, AppendRecord)),
  expectedRevision: sint64(3),
})
export const SessionResponse = message({
  output: repeated(
    sub(1, message({ stream: text(1), streamRevision: sint64(2), position: sint64(3) })),
  ),
  position: sint64(2),
})

export const RecordsRequest = message({
  records: repeated(sub(1, AppendRecord)),
  checks: repeated(
    sub(
      2,
      message({ streamState: sub(1, message({ stream: text(1), expectedState: sint64(2) })) }),
    ),
  ),
})
export const RecordsResponse = message({
  revisions: repeated(sub(1, message({ stream: text(1), revision: sint64(2) }))),
  position: sint64(2),
})

/** What an error carries as its details, `kurrentdb.protocol.v2.streams.errors.…`. */
export const ConsistencyViolationDetails = message({
  violations: repeated(
    sub(
      1,
      message({
        checkIndex: int32(1),
        streamState: sub(
          2,
          message({ stream: text(1), expectedState: sint64(2), actualState: sint64(3) }),
        ),
      }),
    ),
  ),
})
export const RevisionConflictDetails = message({
  stream: text(1),
  expectedRevision: sint64(2),
  actualRevision: sint64(3),
})
/** Of errors that tell of a stream and nothing more. */
export const StreamDetails = message({ stream: text(1) })
export const TransactionSizeDetails = message({ size: int32(1), maxSize: int32(2) })
export const RecordSizeDetails = message({
  stream: text(1),
  recordId: text(2),
  size: int32(3),
  maxSize: int32(4),
})
