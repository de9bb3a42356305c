import { status } from '@grpc/grpc-js'
import { EvidenceError } from '../../contracts/errors.js'
import type { Identity } from '../../runtime/identities.js'
import { recorders } from '../access.js'
import { successOf } from './append.js'
import { empty, type Uuid } from './messages.js'
import type { MethodParts } from './parts.js'
import {
  actualIn,
  appendProposed,
  expectedIn,
  gatherEvents,
  type ProposedAppend,
} from './proposed-events.js'
import { bidi, type Call, type Method, type Send } from './rpc.js'
import { appendBytesMax, statusOf } from './status.js'
import {
  BadRequest,
  BatchAppendRequest,
  BatchAppendResponse,
  type BatchAppendRequest as Request,
  type BatchAppendResponse as Response,
  MaximumAppendSizeExceeded,
  StreamDeleted,
  WrongExpectedVersion,
} from './stream-messages.js'
import { streamIn, uuidIn } from './stored-messages.js'

/** Appends of one call that wait for the ledger at once, and that were begun and not ended by their client. */
const inFlightMax = 1_024
const begunMax = 1_024
const begunBytesMax = 2 * appendBytesMax

type Options = NonNullable<Request['options']>

/** An append whose parts are still arriving. */
interface Begun {
  readonly id: Uuid
  readonly options: Options
  readonly gathered: ReturnType<typeof gatherEvents>
  /** Why it will be refused when it has arrived whole. */
  refusal: Error | undefined
}

/** Many appends over one call, each answered under its correlation id, in whatever order they end. */
export const batchAppending = (parts: MethodParts): Method =>
  bidi(
    '/event_store.client.streams.Streams/BatchAppend',
    BatchAppendRequest,
    BatchAppendResponse,
    async (requests, call, send) => {
      const begun = new Map<string, Begun>()
      const running = new Set<Promise<void>>()
      let oneEnded = (): void => undefined
      for await (const request of requests) {
        const whole = take(begun, request)
        if (whole === undefined) continue
        // Handed to the ledger one after the other, so that it keeps their order.
        const append = await startAppend(parts, call, whole)
        const answering: Promise<void> = answer(parts, append, whole, send).finally(() => {
          running.delete(answering)
          oneEnded()
        })
        running.add(answering)
        if (running.size >= inFlightMax)
          await new Promise<void>((resolve) => {
            oneEnded = resolve
          })
      }
      await Promise.all(running)
    },
  )

/** Takes a part of an append; answers the append when it is whole. */
function take(begun: Map<string, Begun>, request: Request): Begun | undefined {
  const { correlationId = {}, options, proposedMessages = [], isFinal = false } = request
  const id = uuidIn(correlationId)
  const append = begun.get(id) ?? {
    id: correlationId,
    options: options ?? {},
    gathered: gatherEvents(),
    refusal: undefined,
  }
  begun.set(id, append)
  try {
    if (append.refusal === undefined)
      for (const message of proposedMessages) append.gathered.add(message)
  } catch (error) {
    append.refusal = error instanceof Error ? error : new Error(String(error))
  }
  if (isFinal) {
    begun.delete(id)
    return append
  }
  let bytes = 0
  for (const { gathered } of begun.values()) bytes += gathered.bytes()
  if (begun.size > begunMax || bytes > begunBytesMax)
    throw new EvidenceError('LEDGER_BUSY', 'too many appends were begun and not ended')
  return undefined
}

/** Checks the caller, whose token may have ended since the call began, and hands the append to the ledger. */
async function startAppend(
  parts: MethodParts,
  { metadata }: Call,
  { options, gathered, refusal }: Begun,
): Promise<() => Promise<Response>> {
  try {
    const deadlineMs = deadlineOf(options, parts.now())
    if (deadlineMs !== undefined && deadlineMs <= parts.now()) return async () => timedOut
    if (refusal !== undefined) return () => Promise.reject(refusal)
    gathered.requireAll()
    const caller = await parts.callers.require(metadata, recorders)
    const stream = streamIn(options.streamIdentifier)
    const append = { stream, expected: expectedIn(options), events: gathered.events }
    const appended = appendBefore(parts, caller, append, deadlineMs)
    // Awaited by who answers; what fails meanwhile is theirs.
    appended.catch(() => undefined)
    return () => appended
  } catch (error) {
    return () => Promise.reject(error)
  }
}

const timestampMs = ({ seconds = 0, nanos = 0 }: NonNullable<Options['deadlineAt']>): number =>
  Number(seconds) * 1_000 + nanos / 1_000_000

function deadlineOf({ deadlineAt, deadlineIn }: Options, nowMs: number): number | undefined {
  if (deadlineAt !== undefined) return timestampMs(deadlineAt)
  return deadlineIn === undefined ? undefined : nowMs + timestampMs(deadlineIn)
}

const timerMsMax = 2 ** 31 - 1

/**
 * Appends, and answers that it took too long when it does. What is with the ledger then may still be
 * recorded: the same events sent again find it out, by their ids.
 */
async function appendBefore(
  parts: MethodParts,
  caller: Identity,
  append: ProposedAppend,
  deadlineMs: number | undefined,
): Promise<Response> {
  const appending = appendProposed(parts, caller, append).then((appended) => ({
    success: successOf(appended),
  }))
  if (deadlineMs === undefined) return appending
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Response>((resolve) => {
    const waitMs = Math.min(deadlineMs - parts.now(), timerMsMax)
    timer = setTimeout(() => resolve(timedOut), Math.max(waitMs, 0))
  })
  return Promise.race([appending, late]).finally(() => clearTimeout(timer))
}

async function answer(
  { log }: MethodParts,
  append: () => Promise<Response>,
  { id, options }: Begun,
  send: Send<Response>,
): Promise<void> {
  const result = await append().catch((error: unknown) => {
    const failed = failureOf(error, options)
    if (failed.error?.code === status.INTERNAL)
      log.error('an append over gRPC failed', { error: String(error) })
    return failed
  })
  const { streamIdentifier, revision, noStream, any, streamExists } = options
  // A call that has ended takes no answer; its client asks again, by the same ids.
  await send({
    correlationId: id,
    ...result,
    streamIdentifier,
    streamPosition: revision,
    noStream,
    any,
    streamExists,
  }).catch(() => undefined)
}

const detail = (name: string, value: Uint8Array) => ({
  typeUrl: `type.googleapis.com/event_store.client.${name}`,
  value,
})

const timedOut: Response = {
  error: {
    code: status.DEADLINE_EXCEEDED,
    message: 'the deadline of the append has passed',
    details: detail('Timeout', new Uint8Array(0)),
  },
}

/** An error in the form that this method answers it: with details of which clients know the type. */
function failureOf(error: unknown, options: Options): Response {
  const actual = actualIn(error)
  if (actual !== undefined) {
    const { revision, noStream, streamExists } = options
    const value = WrongExpectedVersion.encode({
      ...(actual.revision === undefined
        ? { currentNoStream: empty }
        : { currentStreamRevision: actual.revision }),
      ...(revision !== undefined
        ? { expectedStreamPosition: revision }
        : noStream !== undefined
          ? { expectedNoStream: empty }
          : streamExists !== undefined
            ? { expectedStreamExists: empty }
            : { expectedAny: empty }),
    })
    return failure(status.FAILED_PRECONDITION, error, detail('WrongExpectedVersion', value))
  }
  const { code, details: message, metadata } = statusOf(error)
  const [exception] = metadata?.get('exception') ?? []
  const details =
    exception === 'access-denied'
      ? detail('AccessDenied', new Uint8Array(0))
      : exception === 'stream-deleted'
        ? detail(
            'StreamDeleted',
            StreamDeleted.encode({ streamIdentifier: options.streamIdentifier }),
          )
        : exception === 'maximum-append-size-exceeded'
          ? detail(
              'MaximumAppendSizeExceeded',
              MaximumAppendSizeExceeded.encode({ maxAppendSize: appendBytesMax }),
            )
          : detail('BadRequest', BadRequest.encode({ message }))
  return { error: { code, message, details } }
}

const failure = (code: status, error: unknown, details: ReturnType<typeof detail>): Response => ({
  error: { code, message: error instanceof Error ? error.message : 'refused', details },
})
