import { EvidenceError } from '../../contracts/errors.js'
import { recorders } from '../access.js'
import { empty } from './messages.js'
import type { MethodParts } from './parts.js'
import {
  actualIn,
  type Appended,
  appendProposed,
  expectedIn,
  gatherEvents,
} from './proposed-events.js'
import { clientStream, type Method } from './rpc.js'
import {
  AppendRequest,
  AppendResponse,
  type AppendResponse as Response,
  type AppendSuccess,
  type ExpectedRevisionOptions,
} from './stream-messages.js'
import { positionOf, streamIn } from './stored-messages.js'

/** Appending to one stream in one call: all of it, after the client has ended its side, or nothing. */
export const appending = (parts: MethodParts): Method =>
  clientStream(
    '/event_store.client.streams.Streams/Append',
    AppendRequest,
    AppendResponse,
    async (requests, call) => {
      const caller = await parts.callers.require(call.metadata, recorders)
      let options: ExpectedRevisionOptions | undefined
      const gathered = gatherEvents()
      for await (const { options: named, proposedMessage } of requests) {
        if (named !== undefined) options = named
        if (proposedMessage !== undefined) gathered.add(proposedMessage)
      }
      // A call that was cut off has ended too, but not by its client.
      call.signal.throwIfAborted()
      gathered.requireAll()
      if (options === undefined)
        throw new EvidenceError('REQUEST_INVALID', 'the append names no stream')
      const stream = streamIn(options.streamIdentifier)
      const expected = expectedIn(options)
      try {
        return {
          success: successOf(
            await appendProposed(parts, caller, { stream, expected, events: gathered.events }),
          ),
        }
      } catch (error) {
        const actual = actualIn(error)
        if (actual === undefined) throw error
        return wrongVersion(options, actual.revision)
      }
    },
  )

export const successOf = ({ revision, position }: Appended): AppendSuccess => ({
  ...(revision === undefined ? { noStream: empty } : { currentRevision: revision }),
  ...(position === undefined ? { noPosition: empty } : { position: positionOf(position) }),
})

/** Told in the answer itself, not as an error. */
const wrongVersion = (
  { revision, noStream, streamExists }: ExpectedRevisionOptions,
  current: number | undefined,
): Response => ({
  wrongExpectedVersion: {
    ...(current === undefined ? { currentNoStream: empty } : { currentRevision: current }),
    ...(revision !== undefined
      ? { expectedRevision: revision }
      : noStream !== undefined
        ? { expectedNoStream: empty }
        : streamExists !== undefined
          ? { expectedStreamExists: empty }
          : { expectedAny: empty }),
  },
})
