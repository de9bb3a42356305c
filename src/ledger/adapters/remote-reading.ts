import * as messages from '../../contracts/ledger-messages.js'
import { StreamMetadata } from '../../contracts/stream-metadata.js'
import type { Delivery, EventReader, RecordedEvent } from '../event-store.js'
import type { Ledger } from '../ledger.js'
import * as wire from '../ledger-wire.js'
import { nodeCrypto } from '../node-crypto.js'
import { type RemoteCalls, resumed } from './remote-calls.js'
import type { FollowedStanding } from './remote-standing.js'

const { sha256 } = nodeCrypto

interface Bounds {
  readonly from?: number | undefined
  readonly direction?: 'forwards' | 'backwards' | undefined
  readonly max?: number | undefined
}

/** Where a read stands that may have to be begun again. */
function place({ from, direction, max }: Bounds, placeOf: (event: RecordedEvent) => number) {
  let next = from
  let left = max
  const backwards = direction === 'backwards'
  return {
    /** What is still to be read; undefined when that is nothing. */
    rest: () =>
      left === 0 || (next !== undefined && next < 0)
        ? undefined
        : { from: next, backwards, max: left },
    passed(event: RecordedEvent) {
      next = placeOf(event) + (backwards ? -1 : 1)
      if (left !== undefined) left -= 1
    },
  }
}

const readTypes = {
  stream: [messages.StreamReadRequest, messages.Events],
  log: [messages.LogRequest, messages.Events],
} as const

/** The reading half of a ledger in another process. */
export function remoteReading({
  calls,
  standing,
}: {
  readonly calls: RemoteCalls
  readonly standing: FollowedStanding
}): Omit<EventReader, 'capabilities'> & Pick<Ledger, 'positions'> {
  const seen = (told: Parameters<typeof wire.recordedOf>[1]): RecordedEvent => {
    const event = wire.recordedOf(sha256, told)
    standing.saw(event.position + 1)
    return event
  }
  function* eventsOf({ events = [] }: messages.Events, passed: (event: RecordedEvent) => void) {
    for (const told of events) {
      const event = seen(told)
      passed(event)
      yield event
    }
  }
  const number = async (
    method: 'LastRevision' | 'TypeSize' | 'TypePosition',
    type: typeof messages.StreamRequest | typeof messages.TypeRequest,
    request: object,
  ): Promise<number | undefined> => {
    const { value } = await calls.unary(method, [type, messages.NumberAnswer], request)
    return value === undefined ? undefined : Number(value)
  }

  return {
    size: () => standing.size(),
    async find(id) {
      const { events = [] } = await calls.unary('Find', [messages.FindRequest, messages.Events], {
        id,
      })
      return events[0] === undefined ? undefined : seen(events[0])
    },
    lastRevision: (project, stream, hidden) =>
      number('LastRevision', messages.StreamRequest, {
        project,
        stream,
        ...(hidden === undefined ? {} : { hidden }),
      }),
    async streamMetadata(project, stream) {
      const types = [messages.StreamRequest, messages.MetadataAnswer] as const
      const { revision, metadata } = await calls.unary('StreamMetadata', types, { project, stream })
      return metadata === undefined
        ? undefined
        : {
            revision: wire.numberOf(revision),
            metadata: StreamMetadata.parse(JSON.parse(metadata)),
          }
    },
    async *readStream({ project, stream, hidden = false, ...bounds }) {
      const at = place(bounds, ({ leaf }) => Number(leaf.revision))
      yield* resumed(
        () => {
          const rest = at.rest()
          if (rest === undefined) return undefined
          return calls.stream('ReadStream', readTypes.stream, { project, stream, hidden, ...rest })
        },
        (told) => eventsOf(told, (event) => at.passed(event)),
      )
    },
    async *readLog({ filter = {}, ...bounds } = {}) {
      const at = place(bounds, ({ position }) => position)
      yield* resumed(
        () => {
          const rest = at.rest()
          if (rest === undefined) return undefined
          return calls.stream('ReadLog', readTypes.log, {
            ...rest,
            filter: wire.filterMessage(filter),
          })
        },
        (told) => eventsOf(told, (event) => at.passed(event)),
      )
    },
    async *subscribe({ from, filter = {}, signal }): AsyncGenerator<Delivery> {
      let next = from
      const request = () => ({ from: next, filter: wire.filterMessage(filter) })
      function* deliveriesOf(told: messages.Events): Generator<Delivery> {
        for (const event of eventsOf(told, ({ position }) => (next = position + 1)))
          yield { kind: 'event', event }
        if (told.caughtUp === undefined) return
        const position = Number(told.caughtUp)
        next = Math.max(next, position)
        standing.saw(position)
        yield { kind: 'caught-up', position }
      }
      for await (const delivery of resumed(
        () => calls.stream('Subscribe', readTypes.log, request(), signal),
        deliveriesOf,
        signal,
      )) {
        if (signal.aborted) return
        yield delivery
      }
    },
    positions: {
      typeSize: async (project, type) =>
        (await number('TypeSize', messages.TypeRequest, { project, type })) ?? 0,
      typePosition: async (project, type, typeSeq) =>
        (await number('TypePosition', messages.TypeRequest, { project, type, typeSeq })) ?? 0,
    },
  }
}
