import { Metadata, type ServerErrorResponse, status } from '@grpc/grpc-js'
import { EvidenceError, type ErrorKind } from '../../contracts/errors.js'
import { batchEventsMax } from '../../ledger/event-store.js'
import { RpcStatus } from './messages.js'

/** What a call ends with: the code, and trailers that the clients of EventStoreDB know. */
export type CallStatus = ServerErrorResponse & { readonly code: status; readonly details: string }

/** An error in the words of the EventStoreDB protocol: its name stands in the trailer `exception`. */
export class ProtocolError extends Error {
  constructor(
    readonly code: status,
    readonly exception: string,
    message: string,
    readonly trailers: Readonly<Record<string, string>> = {},
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options)
    this.name = `ProtocolError [${exception}]`
  }
}

/** Bytes that one append may carry; it is told to clients as the maximum append size. */
export const appendBytesMax = 32 * 1024 * 1024

/** An error in the words of the second version of the protocol: it carries a message of its own. */
export class DetailedError extends Error {
  constructor(
    readonly code: status,
    /** Its name within `kurrentdb.protocol.v2.streams.errors`. */
    readonly type: string,
    readonly value: Uint8Array,
    message: string,
  ) {
    super(message)
    this.name = `DetailedError [${type}]`
  }
}

const detailsTrailer = 'grpc-status-details-bin'

function withDetails({ code, type, value, message }: DetailedError): CallStatus {
  const metadata = new Metadata()
  const typeUrl = `type.googleapis.com/kurrentdb.protocol.v2.streams.errors.${type}`
  metadata.set(detailsTrailer, RpcStatus.encode({ code, message, details: { typeUrl, value } }))
  return withMessage(code, message, metadata)
}

const codeOf: Record<ErrorKind, status> = {
  invalid: status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  forbidden: status.PERMISSION_DENIED,
  missing: status.NOT_FOUND,
  conflict: status.FAILED_PRECONDITION,
  precondition: status.FAILED_PRECONDITION,
  'too-large': status.INVALID_ARGUMENT,
  unsupported: status.INVALID_ARGUMENT,
  untrusted: status.FAILED_PRECONDITION,
  busy: status.UNAVAILABLE,
  unavailable: status.UNAVAILABLE,
  tampered: status.DATA_LOSS,
}

/** Refused for who asks or what it is: every client makes its access-denied error of it. */
const deniedKinds: readonly ErrorKind[] = ['unauthenticated', 'forbidden']

const trailersOf = (values: Readonly<Record<string, string>>): Metadata => {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(values)) metadata.set(name, asciiOf(value))
  return metadata
}

/** Header values are ASCII; a name beyond it is told as well as it can be. */
const asciiOf = (value: string): string => value.replaceAll(/[^\x20-\x7e]/g, '?')

/** The one form in which an error leaves over gRPC. */
export function statusOf(error: unknown): CallStatus {
  if (error instanceof ProtocolError) {
    const { code, message, exception, trailers } = error
    return withMessage(code, message, trailersOf({ exception, ...trailers }))
  }
  if (error instanceof DetailedError) return withDetails(error)
  if (error instanceof EvidenceError) {
    const conflict = conflictStatus(error)
    if (conflict !== undefined) return statusOf(conflict)
    const { code, kind, message, remedy } = error
    return withMessage(
      codeOf[kind],
      `${message} (${code}: ${remedy})`,
      trailersOf({
        'fractalops-code': code,
        ...(deniedKinds.includes(kind) ? { exception: 'access-denied' } : {}),
      }),
    )
  }
  return withMessage(status.INTERNAL, 'the server failed; its log says more', new Metadata())
}

/** What stands in the way of a change, in the words that clients make their own errors of. */
function conflictStatus({ code, message, details }: EvidenceError): ProtocolError | undefined {
  const stream = typeof details['stream'] === 'string' ? details['stream'] : ''
  if (code === 'STREAM_DELETED') return streamDeleted(stream)
  if (code === 'EVENT_TOO_LARGE') return appendTooLarge(message)
  if (code !== 'REVISION_CONFLICT') return undefined
  const { expected, actual } = details
  const [wanted, met] = [revisionText(expected), revisionText(actual)]
  return new ProtocolError(
    status.FAILED_PRECONDITION,
    'wrong-expected-version',
    // Clients for Python find stream and versions in this form of the text alone.
    `${message}: WrongExpectedVersion. Stream: ${stream}, Expected version: ${wanted}, Actual version: ${met}`,
    {
      'stream-name': stream,
      'expected-version': wanted,
      ...(typeof actual === 'number' ? { 'actual-version': met } : {}),
    },
  )
}

const revisionText = (revision: unknown): string =>
  String(typeof revision === 'number' ? revision : (namedRevisions[String(revision)] ?? -1))

/** How the protocol tells revisions that are no number. */
const namedRevisions: Readonly<Record<string, number>> = { none: -1, any: -2, exists: -4 }

const withMessage = (code: status, details: string, metadata: Metadata): CallStatus =>
  Object.assign(new Error(details), { code, details, metadata })

export const accessDenied = (message: string): ProtocolError =>
  new ProtocolError(status.PERMISSION_DENIED, 'access-denied', message)

export const appendTooLarge = (
  message = `an append takes at most ${batchEventsMax} events and ${appendBytesMax} bytes`,
): ProtocolError =>
  new ProtocolError(status.INVALID_ARGUMENT, 'maximum-append-size-exceeded', message, {
    'maximum-append-size': String(appendBytesMax),
  })

export const streamDeleted = (stream: string): ProtocolError =>
  new ProtocolError(
    status.FAILED_PRECONDITION,
    'stream-deleted',
    `the event stream '${stream}' is deleted`,
    { 'stream-name': stream },
  )

export const notSupported = (what: string): ProtocolError =>
  new ProtocolError(status.UNIMPLEMENTED, 'unsupported', `${what} is not offered by this server`)
