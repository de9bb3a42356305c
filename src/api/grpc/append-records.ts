import { status } from '@grpc/grpc-js'
import { EvidenceError } from '../../contracts/errors.js'
import { recorders } from '../access.js'
import { type Check, type Written, writeTogether } from './multi-append.js'
import type { MethodParts } from './parts.js'
import { gatherEvents, type ProposedEvent } from './proposed-events.js'
import {
  type AppendRecord,
  ConsistencyViolationDetails,
  RecordSizeDetails,
  RecordsRequest,
  RecordsResponse,
  RevisionConflictDetails,
  SessionAppend,
  SessionResponse,
  StreamDetails,
  TransactionSizeDetails,
  type Value,
} from './record-messages.js'
import { clientStream, type Method, unary } from './rpc.js'
import { appendBytesMax, DetailedError, ProtocolError } from './status.js'
import { uuidIn } from './stored-messages.js'
import { dataBytesMax } from '../../ledger/event-store.js'

const path = (method: string) => `/kurrentdb.protocol.v2.streams.StreamsService/${method}`
/** Each is looked for among the others. */
const checksMax = 1_024

/** Appending to several streams together, each event under the name of its stream. */
export const appendingRecords = (parts: MethodParts): readonly Method[] => [
  unary(path('AppendRecords'), RecordsRequest, RecordsResponse, async (request, { metadata }) => {
    const caller = await parts.callers.require(metadata, recorders)
    const { records = [], checks = [] } = request
    if (checks.length > checksMax)
      throw new EvidenceError('REQUEST_INVALID', `an append has at most ${checksMax} checks`)
    const take = recordTaker(parts)
    for (const record of records) take.add(record.stream ?? '', record)
    const written = await writeTogether(parts, caller, {
      runs: take.runs(),
      checks: checks.map(({ streamState: { stream = '', expectedState = 0 } = {} }) =>
        checkOf(stream, expectedState),
      ),
      violated: (violations) =>
        new DetailedError(
          status.FAILED_PRECONDITION,
          'AppendConsistencyViolationErrorDetails',
          ConsistencyViolationDetails.encode({
            violations: violations.map(({ index, check, actual }) => ({
              checkIndex: index,
              streamState: {
                stream: check.stream,
                expectedState: check.told,
                actualState: actual,
              },
            })),
          }),
          'streams are not as the append expects them',
        ),
      ended: streamEnded,
    })
    return {
      revisions: written.map(({ stream, revision }) => ({ stream, revision })),
      position: lastPosition(written),
    }
  }),
  clientStream(path('AppendSession'), SessionAppend, SessionResponse, async (requests, call) => {
    const caller = await parts.callers.require(call.metadata, recorders)
    const take = recordTaker(parts)
    const checks = new Map<string, Check>()
    for await (const { stream = '', records = [], expectedRevision = anyState } of requests) {
      if (checks.has(stream)) throw twiceInSession(stream)
      if (checks.size >= checksMax)
        throw new EvidenceError('REQUEST_INVALID', `a session has at most ${checksMax} streams`)
      checks.set(stream, checkOf(stream, expectedRevision))
      for (const record of records) take.add(stream, record)
    }
    // A call that was cut off has ended too, but not by its client.
    call.signal.throwIfAborted()
    const written = await writeTogether(parts, caller, {
      runs: take.runs(),
      checks: [...checks.values()],
      violated: ([first]) =>
        new DetailedError(
          status.FAILED_PRECONDITION,
          'StreamRevisionConflictErrorDetails',
          RevisionConflictDetails.encode({
            stream: first.check.stream,
            expectedRevision: first.check.told,
            actualRevision: first.actual < 0 ? noStreamState : first.actual,
          }),
          `the stream ${first.check.stream} is not as expected`,
        ),
      ended: streamEnded,
    })
    return {
      output: written.map(({ stream, revision, position }) => ({
        stream,
        streamRevision: revision,
        position,
      })),
      position: lastPosition(written),
    }
  }),
]

const lastPosition = (written: readonly Written[]): number =>
  Math.max(...written.map(({ position }) => position))

const noStreamState = -1
const anyState = -2
const existsState = -4

function checkOf(stream: string, told: bigint | number): Check {
  const state = Number(told)
  if (state === anyState) return { stream, told: state, expected: 'any' }
  if (state === existsState) return { stream, told: state, expected: 'exists' }
  if (state === noStreamState) return { stream, told: state, expected: 'none' }
  if (state < 0) throw new EvidenceError('REQUEST_INVALID', `${state} is no state of a stream`)
  const expected = Math.min(state, Number.MAX_SAFE_INTEGER)
  return { stream, told: expected, expected }
}

const twiceInSession = (stream: string) =>
  new DetailedError(
    status.ABORTED,
    'StreamAlreadyInAppendSessionErrorDetails',
    StreamDetails.encode({ stream }),
    `the stream ${stream} stands twice in the session`,
  )

const streamEnded = (stream: string) =>
  new DetailedError(
    status.FAILED_PRECONDITION,
    'StreamTombstonedErrorDetails',
    StreamDetails.encode({ stream }),
    `the stream ${stream} is tombstoned`,
  )

/** Events of one stream that stand beside each other. */
type Run = Parameters<typeof writeTogether>[2]['runs'][number]

/** Takes records in the order in which they are to stand. */
function recordTaker({ newId }: Pick<MethodParts, 'newId'>) {
  const runs: { readonly stream: string; readonly events: ProposedEvent[] }[] = []
  const gathered = gatherEvents()
  let size = 0
  return {
    add(stream: string, record: AppendRecord) {
      const message = proposedOf(record, record.recordId || newId())
      const bytes = message.data.length + message.customMetadata.length
      size += bytes
      if (message.data.length > dataBytesMax) throw recordTooLarge(stream, record, bytes)
      gathered.add(message)
      const event = gathered.events.at(-1)
      if (event === undefined) return
      const last = runs.at(-1)
      if (last?.stream === stream) last.events.push(event)
      else runs.push({ stream, events: [event] })
    },
    /** @throws DetailedError when it is too much. */
    runs(): readonly Run[] {
      try {
        gathered.requireAll()
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
        const value = TransactionSizeDetails.encode({ size, maxSize: appendBytesMax })
        const type = 'AppendTransactionSizeExceededErrorDetails'
        throw new DetailedError(status.ABORTED, type, value, error.message)
      }
      return runs
    },
  }
}

const recordTooLarge = (stream: string, { recordId }: AppendRecord, size: number) =>
  new DetailedError(
    status.INVALID_ARGUMENT,
    'AppendRecordSizeExceededErrorDetails',
    RecordSizeDetails.encode({ stream, recordId, size, maxSize: dataBytesMax }),
    `a record has at most ${dataBytesMax} bytes of data`,
  )

/** By the numbers of the protocol. */
const formats = ['Unspecified', 'Json', 'Protobuf', 'Avro', 'Bytes'] as const
const jsonFormat = 1
const noBytes = new Uint8Array(0)

/** A record in the form of the first version: its properties and schema become the metadata of the event. */
function proposedOf({ properties = {}, schema = {}, data = noBytes }: AppendRecord, id: string) {
  const { format = 0, name, id: schemaId } = schema
  const metadata = {
    ...Object.fromEntries(
      Object.entries(properties).map(([key, value]) => [key, propertyOf(key, value)]),
    ),
    '$schema.name': name,
    '$schema.format': formats[format],
    ...(schemaId === undefined || schemaId === '' ? {} : { '$schema.id': schemaId }),
  }
  return {
    id: { text: uuidIn({ text: id }) },
    metadata: {
      ...(name === undefined || name === '' ? {} : { type: name }),
      'content-type': format === jsonFormat ? 'application/json' : 'application/octet-stream',
    },
    customMetadata: Buffer.from(JSON.stringify(metadata)),
    data,
  }
}

function propertyOf(key: string, value: Value): string | number | boolean | null {
  const { text, number, truth, nothing } = value
  const found = text ?? number ?? truth
  if (found !== undefined) return found
  if (nothing !== undefined) return null
  throw new EvidenceError(
    'REQUEST_INVALID',
    `the property ${JSON.stringify(key.slice(0, 80))} is no single value`,
  )
}
