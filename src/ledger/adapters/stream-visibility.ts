import { isReserved } from '../../contracts/identifiers.js'
import type { AppendRequest, EventReader, EventStore } from '../event-store.js'
import {
  checkMetadataRequest,
  firstShown,
  hidesNothing,
  metadataIn,
  type Visibility,
  visibilityOf,
} from '../stream-metadata.js'
import { isMetadataStream, metadataStreamOf } from '../stream-name.js'
import { boundedCache } from './bounded-cache.js'
import type { SettledAppends } from './journal-appends.js'
import type { JournalIndex } from './journal-index.js'
import { nameKey } from './recent-events.js'
import type { RecordReader } from './record-reader.js'

/** Streams whose visibility is remembered; that of others is looked for in the index. */
const rememberedMax = 16_384

type Appends = Pick<EventStore, 'append' | 'appendTogether'> & SettledAppends

/** What the metadata of streams hides. */
export interface StreamVisibility {
  metadata: EventReader['streamMetadata']
  /** The first revision that is shown of a stream of `size` events. */
  firstShown(project: string, stream: string, size: number): number | Promise<number>
  /** The same appends, but what goes onto metadata streams is checked, and readers see it once it is acknowledged. */
  over(appends: Appends): Appends
}

export function createStreamVisibility(
  index: JournalIndex,
  records: RecordReader,
  now: () => number,
): StreamVisibility {
  const known = boundedCache<string, Visibility>(rememberedMax)
  /** Grows with every change: what was looked for meanwhile may be older than that. */
  let changes = 0

  const metadata: EventReader['streamMetadata'] = async (project, stream) => {
    const of = metadataStreamOf(stream)
    const size = await index.streamSize(project, of)
    if (size === 0) return undefined
    const event = await records.read(await index.streamPosition(project, of, size - 1))
    return { revision: size - 1, metadata: metadataIn(event) ?? {} }
  }
  const lookUp = async (project: string, stream: string): Promise<Visibility> => {
    const asked = changes
    const found = visibilityOf((await metadata(project, stream))?.metadata ?? {})
    if (asked === changes) known.set(nameKey(project, stream), found)
    return found
  }

  const setting = async <Answer>(
    requests: readonly AppendRequest[],
    append: () => Promise<Answer>,
  ): Promise<Answer> => {
    for (const request of requests) checkMetadataRequest(request)
    return changing(append)
  }
  const changing = async <Answer>(append: () => Promise<Answer>): Promise<Answer> => {
    try {
      return await append()
    } finally {
      changes += 1
      known.clear()
    }
  }

  return {
    metadata,
    firstShown(project, stream, size) {
      // Reserved streams, and those of metadata, have no metadata.
      if (size === 0 || isReserved(stream)) return 0
      const timeMsOf = async (revision: number) => {
        const position = await index.streamPosition(project, stream, revision)
        return Date.parse((await records.read(position)).leaf.time)
      }
      const first = (shown: Visibility) =>
        hidesNothing(shown) ? 0 : firstShown(shown, size, now(), timeMsOf)
      const visibility = known.get(nameKey(project, stream))
      return visibility === undefined ? lookUp(project, stream).then(first) : first(visibility)
    },
    over: (appends) => ({
      // Ordinary appends go straight on.
      append: (request) =>
        isMetadataStream(request.stream)
          ? setting([request], () => appends.append(request))
          : appends.append(request),
      appendTogether: (requests) =>
        requests.some(({ stream }) => isMetadataStream(stream))
          ? setting(requests, () => appends.appendTogether(requests))
          : appends.appendTogether(requests),
      appendSettled: (events) =>
        events.some(({ stream }) => isMetadataStream(stream))
          ? changing(() => appends.appendSettled(events))
          : appends.appendSettled(events),
    }),
  }
}
