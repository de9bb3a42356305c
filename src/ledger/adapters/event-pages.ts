import { EvidenceError } from '../../contracts/errors.js'
import type { Delivery, EventReader, LogRead, RecordedEvent, StreamRead } from '../event-store.js'
import type { JournalIndex } from './journal-index.js'
import type { RecordReader } from './record-reader.js'

/** What readers hold of the log at once; a single larger event is read alone. */
export const pageEventsMax = 256
export const pageBytesMax = 4 * 1024 * 1024

/** Tells readers that wait at the head that there is more. */
export interface HeadSignal {
  raise(): void
  /** Ends all waiting for good. */
  end(): void
  readonly ended: boolean
  /** Resolves when the log has grown beyond `size`, has ended, or `signal` aborts. */
  beyond(size: number, signal: AbortSignal): Promise<void>
}

export function createHeadSignal(sizeOf: () => number): HeadSignal {
  const waiting = new Set<() => void>()
  let ended = false
  const wake = () => {
    for (const resolve of [...waiting]) resolve()
  }
  return {
    raise: wake,
    end() {
      ended = true
      wake()
    },
    get ended() {
      return ended
    },
    beyond: (size, signal) =>
      new Promise((resolve) => {
        const done = () => {
          waiting.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        waiting.add(done)
        signal.addEventListener('abort', done)
        if (ended || signal.aborted || sizeOf() > size) done()
      }),
  }
}

type Reading = Pick<EventReader, 'find' | 'lastRevision' | 'readStream' | 'readLog' | 'subscribe'>

/** The reading half of the event store over index and records. */
export function createReading(
  index: JournalIndex,
  records: RecordReader,
  head: HeadSignal,
): Reading {
  async function* pages(positions: Iterable<number>): AsyncGenerator<RecordedEvent> {
    let page: number[] = []
    let bytes = 0
    for (const position of positions) {
      const size = index.placeOf(position).bytes
      if (page.length > 0 && (page.length === pageEventsMax || bytes + size > pageBytesMax)) {
        yield* await records.readMany(page)
        page = []
        bytes = 0
      }
      page.push(position)
      bytes += size
    }
    if (page.length > 0) yield* await records.readMany(page)
  }

  return {
    async find(id) {
      const position = index.positionOf(id)
      return position === undefined ? undefined : records.read(position)
    },
    lastRevision(project, stream) {
      const size = index.streamSize(project, stream)
      return Promise.resolve(size === 0 ? undefined : size - 1)
    },
    readStream({ project, stream, from, direction, max }: StreamRead) {
      const size = index.streamSize(project, stream)
      return pages(
        mapped(walk(size, from, direction, max), (revision) =>
          index.streamPosition(project, stream, revision),
        ),
      )
    },
    readLog({ from, direction, max, filter }: LogRead = {}) {
      // Raw leaves are no events: where there are some, `max` counts what is left without them.
      const wants = filter === undefined ? everyEvent(index) : index.matcher(filter)
      const all = walk(index.size, from, direction, wants === undefined ? max : undefined)
      return pages(wants === undefined ? all : matching(all, wants, max))
    },
    async *subscribe({ from, filter, signal }): AsyncGenerator<Delivery> {
      checkCount(from, 'from')
      const wants =
        filter === undefined ? (position: number) => !index.isRaw(position) : index.matcher(filter)
      let next = from
      let told = -1
      const over = () => signal.aborted || head.ended
      while (!over()) {
        const size = index.size
        try {
          for await (const event of pages(matching(range(next, size), wants))) {
            yield { kind: 'event', event }
            if (over()) return
          }
        } catch (error) {
          // The files close when the ledger does; a reader that was reading just then is done.
          if (over()) return
          throw error
        }
        next = Math.max(next, size)
        // More may have come while the reader was slow: it is caught up only when there is none.
        if (index.size > next) continue
        if (told !== next) yield { kind: 'caught-up', position: (told = next) }
        await head.beyond(next, signal)
      }
    },
  }
}

/** Tells events from raw leaves; undefined where every leaf is an event. */
const everyEvent = (index: JournalIndex) =>
  index.rawSize === 0 ? undefined : (position: number) => !index.isRaw(position)

const checkCount = (value: number | undefined, name: string) => {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
    throw new EvidenceError('REQUEST_INVALID', `${name} must be a whole number from 0`, {
      fields: [{ pointer: `/${name}`, detail: 'must be a whole number from 0' }],
    })
  }
}

function* range(from: number, end: number): Generator<number> {
  for (let at = from; at < end; at += 1) yield at
}

/** The numbers that a read of `size` things in a direction from a place goes through. */
function walk(
  size: number,
  from: number | undefined,
  direction: StreamRead['direction'],
  max: number | undefined,
): Iterable<number> {
  checkCount(from, 'from')
  checkCount(max, 'max')
  const limit = max ?? Number.POSITIVE_INFINITY
  if (direction !== 'backwards') {
    const first = from ?? 0
    return range(first, Math.min(size, first + limit))
  }
  const last = Math.min(from ?? size - 1, size - 1)
  return (function* () {
    for (let at = last; at >= 0 && last - at < limit; at -= 1) yield at
  })()
}

function* mapped(values: Iterable<number>, map: (value: number) => number): Generator<number> {
  for (const value of values) yield map(value)
}

function* matching(
  positions: Iterable<number>,
  wants: (position: number) => boolean,
  max?: number,
): Generator<number> {
  let left = max ?? Number.POSITIVE_INFINITY
  if (left === 0) return
  for (const position of positions) {
    if (!wants(position)) continue
    yield position
    left -= 1
    if (left === 0) return
  }
}
