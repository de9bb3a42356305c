import { EvidenceError } from '../../contracts/errors.js'
import type { RecordedEvent } from '../../ledger/event-store.js'
import type { Identity } from '../../runtime/identities.js'
import { requireReading } from '../streams.js'
import { answering } from './links.js'
import { nameFilter } from './name-filter.js'
import type { MethodParts } from './parts.js'
import type { Call, Send } from './rpc.js'
import type { ReadOptions, ReadResponse } from './stream-messages.js'
import { firstTold, nowOf, positionOf, streamIn, wantsStructured } from './stored-messages.js'

/** A subscription that was at the head and is so many events behind it again has fallen behind. */
export const fellBehindEvents = 4_096
/** A subscriber whose token was revoked gets no event that is sent later than this after it. */
const tokenLookMs = 1_000

/** A subscription begins behind the event that it names. */
const behind = (place: bigint | number): number =>
  Math.min(Number(place), Number.MAX_SAFE_INTEGER - 1) + 1

/** Looks again, now and then, whether the caller may still read; of one stream, by its access list too. */
function stillAllowed({ identities, ledger, now }: MethodParts, caller: Identity, stream?: string) {
  let looked = now()
  return async () => {
    if (now() - looked < tokenLookMs) return
    looked = now()
    await identities.byDigest(caller.tokenSha256)
    if (stream !== undefined) await requireReading(ledger, caller, stream)
  }
}

/** The part that both kinds of subscription share: what is told beside the events. */
function telling(parts: MethodParts, send: Send<ReadResponse>, inStream: boolean) {
  let live = false
  let last: RecordedEvent | undefined
  const standing = () => ({
    timestamp: nowOf(parts.now()),
    ...(last === undefined
      ? {}
      : inStream
        ? { streamRevision: Number(last.leaf.revision) }
        : { position: positionOf(last.position) }),
  })
  return {
    isLive: () => live,
    /** Before an event is sent. */
    async before(event: RecordedEvent) {
      if (live && parts.ledger.size() - event.position > fellBehindEvents) {
        live = false
        await send({ fellBehind: standing() })
      }
      last = event
    },
    async caughtUp() {
      if (live) return
      live = true
      await send({ caughtUp: standing() })
    },
  }
}

const ended = () =>
  new EvidenceError('SERVICE_NOT_RUNNING', 'the subscription ends because the server does')

/** Follows `$all`. Ends only with the call or the server. */
export async function followAll(
  parts: MethodParts,
  caller: Identity,
  options: ReadOptions,
  call: Call,
  send: Send<ReadResponse>,
): Promise<void> {
  const { ledger, newId, now } = parts
  const { position, end } = options.all ?? {}
  const filter = options.filter === undefined ? undefined : nameFilter(options.filter)
  const answer = answering(ledger, caller, {
    structured: wantsStructured(options.uuidOption),
    resolveLinks: options.resolveLinks ?? false,
  })
  const from =
    position?.commit !== undefined ? behind(position.commit) : end === undefined ? 0 : ledger.size()
  const check = stillAllowed(parts, caller)
  const tell = telling(parts, send, false)
  let considered = 0
  let checkpoint = -1
  const sendCheckpoint = async () => {
    considered = 0
    await send({ checkpoint: { ...positionOf(checkpoint), timestamp: nowOf(now()) } })
  }
  await send({ confirmation: { subscriptionId: newId() } })
  for await (const delivery of ledger.subscribe({
    from,
    filter: { project: caller.project },
    signal: call.signal,
  })) {
    if (delivery.kind === 'caught-up') {
      // Live, a checkpoint is told by the number of events alone.
      if (filter !== undefined && considered > 0 && !tell.isLive()) await sendCheckpoint()
      await tell.caughtUp()
      continue
    }
    const { event } = delivery
    await check()
    await tell.before(event)
    if (filter?.wants(event) !== false) await send(await answer(event))
    if (filter === undefined) continue
    considered += 1
    checkpoint = event.position
    if (considered >= filter.checkpointEvery) await sendCheckpoint()
  }
  throw ended()
}

/** Follows one stream. Ends only with the call or the server. */
export async function followStream(
  parts: MethodParts,
  caller: Identity,
  options: ReadOptions,
  call: Call,
  send: Send<ReadResponse>,
): Promise<void> {
  const { ledger, newId } = parts
  const { project } = caller
  const { streamIdentifier, revision, end } = options.stream ?? {}
  const stream = streamIn(streamIdentifier)
  await requireReading(ledger, caller, stream)
  const answer = answering(ledger, caller, {
    structured: wantsStructured(options.uuidOption),
    resolveLinks: options.resolveLinks ?? false,
  })
  const check = stillAllowed(parts, caller, stream)
  const tell = telling(parts, send, true)
  // What is committed while the stream is read is either in what is read or behind `head`.
  const head = ledger.size()
  const last = await ledger.lastRevision(project, stream, true)
  const begin = revision !== undefined ? behind(revision) : end === undefined ? 0 : (last ?? -1) + 1
  let next = Math.max(begin, firstTold(stream, last ?? 0))
  const deliver = async (event: RecordedEvent) => {
    if (Number(event.leaf.revision) < next) return
    await check()
    await tell.before(event)
    await send(await answer(event))
    next = Number(event.leaf.revision) + 1
  }
  await send({ confirmation: { subscriptionId: newId() } })
  for await (const event of ledger.readStream({ project, stream, from: next })) await deliver(event)
  for await (const delivery of ledger.subscribe({
    from: head,
    filter: { project, streamPrefixes: [stream] },
    signal: call.signal,
  })) {
    if (delivery.kind === 'caught-up') await tell.caughtUp()
    else if (delivery.event.leaf.stream === stream) await deliver(delivery.event)
  }
  throw ended()
}
