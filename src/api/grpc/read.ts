import { EvidenceError } from '../../contracts/errors.js'
import type { RecordedEvent } from '../../ledger/event-store.js'
import type { Identity } from '../../runtime/identities.js'
import { requireReading } from '../streams.js'
import { answering } from './links.js'
import { type NameFilter, nameFilter } from './name-filter.js'
import type { MethodParts } from './parts.js'
import { type Method, type Send, serverStream } from './rpc.js'
import { streamDeleted } from './status.js'
import {
  type ReadOptions,
  ReadRequest,
  ReadResponse,
  type ReadResponse as Response,
} from './stream-messages.js'
import { firstTold, identifierOf, streamIn, wantsStructured } from './stored-messages.js'
import { followAll, followStream } from './subscribe.js'

const backwards = 1

/** A number of the protocol as one of ours; beyond every ledger they are all the same. */
export const clamped = (value: bigint | number): number =>
  Math.min(Number(value), Number.MAX_SAFE_INTEGER)

/** Reading and following streams and the whole log. */
export const reading = (parts: MethodParts): Method =>
  serverStream(
    '/event_store.client.streams.Streams/Read',
    ReadRequest,
    ReadResponse,
    async ({ options = {} }, call, send) => {
      const caller = await parts.callers.require(call.metadata, 'reading')
      const { stream, all, subscription } = options
      if ((stream === undefined) === (all === undefined))
        throw new EvidenceError('REQUEST_INVALID', 'a read is of one stream or of $all')
      if (subscription !== undefined) {
        const follow = stream === undefined ? followAll : followStream
        return follow(parts, caller, options, call, send)
      }
      return stream === undefined
        ? readAll(parts, caller, options, send)
        : readStream(parts, caller, options, send)
    },
  )

async function sendAll(
  parts: MethodParts,
  caller: Identity,
  events: AsyncIterable<RecordedEvent>,
  options: ReadOptions,
  send: Send<Response>,
): Promise<void> {
  const answer = answering(parts.ledger, caller, {
    structured: wantsStructured(options.uuidOption),
    resolveLinks: options.resolveLinks ?? false,
  })
  for await (const event of events) await send(await answer(event))
}

async function readStream(
  parts: MethodParts,
  caller: Identity,
  options: ReadOptions,
  send: Send<Response>,
): Promise<void> {
  const { ledger } = parts
  const { project } = caller
  const { streamIdentifier, revision, end } = options.stream ?? {}
  const stream = streamIn(streamIdentifier)
  await requireReading(ledger, caller, stream)
  const last = await ledger.lastRevision(project, stream)
  if (last === undefined) {
    await requireNotEnded(ledger, project, stream)
    await send({ streamNotFound: { streamIdentifier: identifierOf(stream) } })
    return
  }
  const direction = options.direction === backwards ? 'backwards' : 'forwards'
  // Nothing follows the end.
  if (direction === 'forwards' && end !== undefined) return
  const asked = revision === undefined ? fromStart(options) : { from: clamped(revision) }
  const max = clamped(options.count ?? 0)
  const first = firstTold(stream, last)
  const events = ledger.readStream({
    project,
    stream,
    direction,
    ...(direction === 'forwards'
      ? { from: Math.max(asked.from ?? 0, first), max }
      : {
          ...asked,
          max: Math.min(max, Math.max(0, Math.min(asked.from ?? last, last) - first + 1)),
        }),
  })
  await sendAll(parts, caller, events, options, send)
}

/** @throws ProtocolError stream-deleted when the stream was ended for good. */
export async function requireNotEnded(
  ledger: MethodParts['ledger'],
  project: string,
  stream: string,
): Promise<void> {
  const { metadata } = (await ledger.streamMetadata(project, stream)) ?? {}
  if (metadata?.$tombstoned === true) throw streamDeleted(stream)
}

/** Backwards from the start there is the first event alone. */
const fromStart = ({ direction, stream }: ReadOptions): { readonly from?: number } =>
  direction === backwards && stream?.start !== undefined ? { from: 0 } : {}

async function readAll(
  parts: MethodParts,
  caller: Identity,
  options: ReadOptions,
  send: Send<Response>,
): Promise<void> {
  const { ledger } = parts
  const { project } = caller
  const { position, start, end } = options.all ?? {}
  const isBackwards = options.direction === backwards
  if (isBackwards ? start !== undefined : end !== undefined) return
  const at = position?.commit === undefined ? undefined : clamped(position.commit)
  // A position stands before its event: forwards that event is the first, backwards the one before.
  if (isBackwards && at === 0) return
  const from = at === undefined ? {} : { from: isBackwards ? at - 1 : at }
  const max = clamped(options.count ?? 0)
  const filter = options.filter === undefined ? undefined : nameFilter(options.filter)
  const events = ledger.readLog({
    direction: isBackwards ? 'backwards' : 'forwards',
    filter: { project },
    ...from,
    ...(filter === undefined ? { max } : {}),
  })
  const chosen = filter === undefined ? events : wanted(events, filter, max)
  await sendAll(parts, caller, chosen, options, send)
}

async function* wanted(
  events: AsyncIterable<RecordedEvent>,
  filter: NameFilter,
  max: number,
): AsyncGenerator<RecordedEvent> {
  let left = max
  if (left === 0) return
  for await (const event of events) {
    if (!filter.wants(event)) continue
    yield event
    left -= 1
    if (left === 0) return
  }
}
