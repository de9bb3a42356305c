import { EvidenceError } from '../../contracts/errors.js'
import type {
  Delivery,
  EventReader,
  LogFilter,
  LogRead,
  RecordedEvent,
  StreamRead,
} from '../event-store.js'
import type { JournalIndex } from './journal-index.js'
import { type Place, placeFilter } from './place-list.js'
import type { RecordReader } from './record-reader.js'
import type { StreamVisibility } from './stream-visibility.js'

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

type Reading = Pick<
  EventReader,
  'find' | 'lastRevision' | 'streamMetadata' | 'readStream' | 'readLog' | 'subscribe'
>

/** The reading half of the event store over index and records. */
export function createReading(
  index: JournalIndex,
  records: RecordReader,
  head: HeadSignal,
  visibility: StreamVisibility,
): Reading {
  /** Reads events page by page; what a filter does not want is left out, and so are leaves that are no events. */
  async function* pages(
    positions: AsyncIterable<readonly number[]>,
    filter?: LogFilter,
    max = Number.POSITIVE_INFINITY,
  ): AsyncGenerator<RecordedEvent> {
    const mayWant = filter === undefined ? () => true : placeFilter(filter)
    const wants = filter === undefined ? () => true : eventFilter(filter)
    let left = max
    if (left === 0) return
    for await (const some of positions) {
      const places = await index.placesOf(some)
      const candidates = some
        .map((position, i) => ({ position, place: places[i] }))
        .filter(({ place }) => place !== undefined && !place.raw && mayWant(place))
      for (let from = 0; from < candidates.length;) {
        const page = firstPage(candidates.slice(from, from + Math.min(left, pageEventsMax)))
        from += page.length
        for (const event of await records.readMany(page)) {
          if (!wants(event)) continue
          yield event
          left -= 1
          if (left === 0) return
        }
      }
    }
  }

  return {
    async find(id) {
      const position = await index.positionOf(id)
      return position === undefined ? undefined : records.read(position)
    },
    async lastRevision(project, stream, hidden = false) {
      const size = await index.streamSize(project, stream)
      const first = hidden ? 0 : await visibility.firstShown(project, stream, size)
      return first < size ? size - 1 : undefined
    },
    streamMetadata: (project, stream) => visibility.metadata(project, stream),
    readStream({ project, stream, from, direction, max, hidden = false }: StreamRead) {
      checkCount(from, 'from')
      checkCount(max, 'max')
      const positions = async function* () {
        const size = await index.streamSize(project, stream)
        const first = hidden ? 0 : await visibility.firstShown(project, stream, size)
        for (const revisions of inParts(walk(size, from, direction, max, first))) {
          const found: number[] = []
          for (const revision of revisions) {
            const position = index.streamPosition(project, stream, revision)
            found.push(position instanceof Promise ? await position : position)
          }
          yield found
        }
      }
      return pages(positions())
    },
    readLog({ from, direction, max, filter }: LogRead = {}) {
      checkCount(from, 'from')
      checkCount(max, 'max')
      const all = walk(index.size, from, direction, undefined)
      return pages(later(inParts(all)), filter, max)
    },
    async *subscribe({ from, filter, signal }): AsyncGenerator<Delivery> {
      checkCount(from, 'from')
      let next = from
      let told = -1
      const over = () => signal.aborted || head.ended
      while (!over()) {
        const size = index.size
        try {
          for await (const event of pages(later(inParts(range(next, size))), filter)) {
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

/** What the leaf says decides; the marks of places only leave most of the others unread. */
const eventFilter =
  ({ project, streamPrefixes, types }: LogFilter) =>
  ({ leaf }: RecordedEvent): boolean =>
    (project === undefined || leaf.project === project) &&
    (streamPrefixes === undefined ||
      streamPrefixes.some((prefix) => leaf.stream.startsWith(prefix))) &&
    (types === undefined || types.includes(leaf.type))

/** As many as make a page of bounded bytes; a single larger event is read alone. */
function firstPage(
  candidates: readonly { readonly position: number; readonly place: Place | undefined }[],
): readonly number[] {
  const page: number[] = []
  let bytes = 0
  for (const { position, place } of candidates) {
    bytes += place?.bytes ?? 0
    if (page.length > 0 && bytes > pageBytesMax) break
    page.push(position)
  }
  return page
}

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

/** The numbers that a read of `size` things in a direction from a place goes through; none below `least`. */
function* walk(
  size: number,
  from: number | undefined,
  direction: StreamRead['direction'],
  max = Number.POSITIVE_INFINITY,
  least = 0,
): Generator<number, void> {
  if (direction !== 'backwards') {
    const first = Math.max(from ?? 0, least)
    yield* range(first, Math.min(size, first + max))
    return
  }
  const last = Math.min(from ?? size - 1, size - 1)
  for (let at = last; at >= least && last - at < max; at -= 1) yield at
}

/** Short parts first, so that a reader who wants little does not cause much to be looked up. */
function* inParts(values: Iterable<number>): Generator<readonly number[]> {
  let part: number[] = []
  let most = 16
  for (const value of values) {
    part.push(value)
    if (part.length < most) continue
    yield part
    part = []
    most = Math.min(2 * most, pageEventsMax)
  }
  if (part.length > 0) yield part
}

async function* later<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  yield* items
}
