import { EvidenceError } from '../contracts/errors.js'
import type { StreamMetadata } from '../contracts/stream-metadata.js'
import type { EventReader } from './event-store.js'
import { describedStream, isMetadataStream } from './stream-name.js'

/** Streams of which it is remembered how they stand. */
const rememberedMax = 16_384

/** A stream that is appended to; one of metadata changes how the described stream stands. */
interface Target {
  readonly project: string
  readonly stream: string
}

/**
 * How streams of clients stand: whether they were ended for good, and who may do what with them. Every change of
 * that goes through the one writer that holds this, so that what is remembered is true.
 */
export interface StreamStandings {
  /**
   * Runs an append, judged by how its streams stand at the moment it is handed to the store, which keeps that
   * order: no append lands behind a change that forbids it. Who asks for one stream is answered in the order
   * of asking.
   *
   * @throws EvidenceError STREAM_DELETED, and what `judge` throws; then nothing is appended.
   */
  append<Answer>(
    targets: readonly Target[],
    judge: (standings: readonly StreamMetadata[]) => void,
    append: () => Promise<Answer>,
  ): Promise<Answer>
}

export function streamStandings(store: EventReader): StreamStandings {
  const known = new Map<string, Promise<StreamMetadata>>()
  /** Changes that the store has not answered: until then nobody knows how these streams stand. */
  const changing = new Set<Promise<StreamMetadata>>()
  const keyOf = ({ project, stream }: Target) => `${project}\n${describedStream(stream)}`
  const lookUp = async ({ project, stream }: Target): Promise<StreamMetadata> =>
    (await store.streamMetadata(project, describedStream(stream)))?.metadata ?? {}

  const remember = (key: string, standing: Promise<StreamMetadata>) => {
    known.set(key, standing)
    standing.catch(() => {
      if (known.get(key) === standing) known.delete(key)
    })
  }
  const ask = (target: Target): Promise<StreamMetadata> => {
    const key = keyOf(target)
    const found = known.get(key)
    if (found !== undefined) return found
    if (known.size >= rememberedMax)
      for (const [other, standing] of known) if (!changing.has(standing)) known.delete(other)
    const asked = lookUp(target)
    remember(key, asked)
    return asked
  }
  /** What is appended now may change how the stream stands, when the store has answered. */
  const changes = (target: Target, answered: Promise<unknown>) => {
    const look = () => lookUp(target)
    const after = answered.then(look, look)
    changing.add(after)
    remember(keyOf(target), after)
    const forget = () => void changing.delete(after)
    after.then(forget, forget)
  }

  return {
    async append(targets, judge, append) {
      for (;;) {
        const asked = targets.map(ask)
        const standings = await Promise.all(asked)
        // Somebody changed one of them while the others were looked up.
        if (targets.some((target, i) => known.get(keyOf(target)) !== asked[i])) continue
        targets.forEach((target, i) => refuseEnded(target, standings[i]))
        judge(standings)
        const answered = append()
        for (const target of targets) if (isMetadataStream(target.stream)) changes(target, answered)
        return answered
      }
    },
  }
}

function refuseEnded({ project, stream }: Target, standing: StreamMetadata | undefined): void {
  if (standing?.$tombstoned !== true) return
  const ended = describedStream(stream)
  throw new EvidenceError('STREAM_DELETED', `the stream ${ended} was ended`, {
    details: { project, stream: ended },
  })
}
