import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import type { AllPosition } from '../all-position.js'
import { utf8 } from '../encoding.js'
import type { ExpectedRevision } from '../event-store.js'

/** One event as it stands on the cluster. */
export interface ClusterEvent {
  readonly id: string
  readonly stream: string
  readonly revision: number
  readonly type: string
  readonly isJson: boolean
  /** Of JSON events the text that the official client reads it as. */
  readonly data: Uint8Array
  readonly metadata: Uint8Array
  /** When the cluster took it, in milliseconds since 1970. */
  readonly createdMs: number
  readonly position: AllPosition
}

export interface ClusterDraft {
  readonly id: string
  readonly type: string
  readonly data: Uint8Array
  readonly metadata: Uint8Array
}

/** What an append came to. `unknown` = the connection was lost: it is there, or it is not. */
export type ClusterAnswer =
  | { readonly kind: 'appended'; readonly lastRevision: number }
  | { readonly kind: 'conflict'; readonly actual: number | null }
  | { readonly kind: 'refused'; readonly error: EvidenceError }
  | { readonly kind: 'unknown'; readonly cause: unknown }

/** A cluster of EventStoreDB or KurrentDB through its official client. */
export interface ClusterConnection {
  append(
    stream: string,
    expected: ExpectedRevision,
    events: readonly ClusterDraft[],
  ): Promise<ClusterAnswer>
  /** The last event of a stream; undefined when there is none. @throws EvidenceError EVENT_STORE_UNREACHABLE. */
  lastOf(stream: string): Promise<ClusterEvent | undefined>
  /** Where the last event of `$all` stands. @throws EvidenceError EVENT_STORE_UNREACHABLE. */
  head(): Promise<AllPosition | undefined>
  /**
   * Every event behind a place, in order, without end. `onReached` is called when the cluster has taken the wish.
   *
   * @throws the client's error when the connection is lost.
   */
  follow(
    after: AllPosition | undefined,
    signal: AbortSignal,
    onReached: () => void,
  ): AsyncIterable<ClusterEvent>
  close(): Promise<void>
}

/** How long the cluster may take to answer. */
const deadlineMs = 10_000
const disposeMs = 500
const noBytes = new Uint8Array(0)

type OfficialDraft = {
  id: string
  contentType: 'application/octet-stream'
  type: string
  data: Uint8Array
  metadata: Uint8Array
}
type Expectation = bigint | 'any' | 'no_stream' | 'stream_exists'

/** What both official packages offer of a client, as far as it is needed here. */
interface OfficialClient {
  appendToStream(
    stream: string,
    events: OfficialDraft[],
    /** The older package calls it an expected revision, the newer one a state. */
    options: { expectedRevision: Expectation; streamState: Expectation; deadline: number },
  ): Promise<{ readonly nextExpectedRevision: bigint }>
  readStream(stream: string, options: object): AsyncIterable<ResolvedEvent>
  readAll(options: object): AsyncIterable<ResolvedEvent>
  subscribeToAll(
    options: object,
    readable: object,
  ): AsyncIterable<ResolvedEvent> & {
    unsubscribe(): Promise<void>
    destroy(): unknown
    once(event: 'confirmation', listener: () => void): unknown
  }
  dispose(): Promise<void>
}

interface ResolvedEvent {
  readonly event?: {
    readonly id: string
    readonly streamId: string
    readonly revision: bigint
    readonly type: string
    readonly isJson: boolean
    readonly data: unknown
    readonly metadata?: unknown
    readonly created: Date
    readonly position?: AllPosition | undefined
  }
  readonly commitPosition?: bigint
}

/**
 * Connects by `esdb://…` through `@eventstore/db-client`, by `kurrentdb://…` through `@kurrent/kurrentdb-client`. A
 * process can hold one of them only: both register their messages under one name.
 */
export async function connectCluster(connection: string): Promise<ClusterConnection> {
  const official = await clientOf(connection)
  return {
    append: (stream, expected, events) => appendTo(official, stream, expected, events),
    async lastOf(stream) {
      const options = {
        direction: 'backwards',
        fromRevision: 'end',
        maxCount: 1,
        deadline: deadlineMs,
      }
      return readOne(() => official.readStream(stream, options))
    },
    async head() {
      const options = {
        direction: 'backwards',
        fromPosition: 'end',
        maxCount: 1,
        deadline: deadlineMs,
      }
      return (await readOne(() => official.readAll(options)))?.position
    },
    follow: (after, signal, onReached) => follow(official, after, signal, onReached),
    async close() {
      // The client waits for streams that it ended itself, some of them for ever.
      await Promise.race([official.dispose(), pause(disposeMs)])
    },
  }
}

async function clientOf(connection: string): Promise<OfficialClient> {
  try {
    if (connection.startsWith('kurrentdb')) {
      const { KurrentDBClient } = await import('@kurrent/kurrentdb-client')
      return KurrentDBClient.connectionString(connection)
    }
    const { EventStoreDBClient } = await import('@eventstore/db-client')
    return EventStoreDBClient.connectionString(connection)
  } catch (cause) {
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      `FRACTALOPS_LEDGER is no connection string that the official client takes: ${messageOf(cause)}`,
      { cause },
    )
  }
}

const expectations = { any: 'any', none: 'no_stream', exists: 'stream_exists' } as const

async function appendTo(
  official: OfficialClient,
  stream: string,
  expected: ExpectedRevision,
  events: readonly ClusterDraft[],
): Promise<ClusterAnswer> {
  const expectedRevision = typeof expected === 'number' ? BigInt(expected) : expectations[expected]
  try {
    const { nextExpectedRevision } = await official.appendToStream(
      stream,
      events.map((event) => ({ ...event, contentType: 'application/octet-stream' as const })),
      { expectedRevision, streamState: expectedRevision, deadline: deadlineMs },
    )
    return { kind: 'appended', lastRevision: Number(nextExpectedRevision) }
  } catch (error) {
    return answerOf(error)
  }
}

/** What an error of either package says of an append; by its `type`, which is the same text in both. */
function answerOf(error: unknown): ClusterAnswer {
  const { type, actualVersion, actualState } = error as {
    readonly [Name in 'type' | 'actualVersion' | 'actualState']?: unknown
  }
  const actual = actualState ?? actualVersion
  const refused = (code: 'EVENT_TOO_LARGE' | 'STREAM_DELETED' | 'EVENT_STORE_UNREACHABLE') => ({
    kind: 'refused' as const,
    error: new EvidenceError(code, `the cluster refused the append: ${messageOf(error)}`, {
      cause: error,
    }),
  })
  switch (type) {
    case 'wrong-expected-version':
      return {
        kind: 'conflict',
        actual: typeof actual === 'bigint' ? Number(actual) : null,
      }
    case 'maximum-append-size-exceeded':
    case 'append-record-size-exceeded':
      return refused('EVENT_TOO_LARGE')
    case 'stream-deleted':
    case 'stream-tombstoned':
      return refused('STREAM_DELETED')
    case 'access-denied':
    case 'invalid-argument':
    case 'unsupported':
      return refused('EVENT_STORE_UNREACHABLE')
    default:
      return { kind: 'unknown', cause: error }
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

export const unreachable = (cause: unknown) =>
  new EvidenceError(
    'EVENT_STORE_UNREACHABLE',
    `the cluster that holds the events of the ledger does not answer: ${messageOf(cause)}`,
    { cause },
  )

async function readOne(
  read: () => AsyncIterable<ResolvedEvent>,
): Promise<ClusterEvent | undefined> {
  try {
    for await (const resolved of read()) return eventOf(resolved)
    return undefined
  } catch (error) {
    if ((error as { type?: unknown }).type === 'stream-not-found') return undefined
    throw unreachable(error)
  }
}

/** Events that are had of the client and not taken yet, at most. */
const heldEventsMax = 512

async function* follow(
  official: OfficialClient,
  after: AllPosition | undefined,
  signal: AbortSignal,
  onReached: () => void,
): AsyncGenerator<ClusterEvent> {
  const subscription = official.subscribeToAll(
    { fromPosition: after ?? 'start', resolveLinkTos: false },
    { highWaterMark: heldEventsMax },
  )
  subscription.once('confirmation', onReached)
  const end = () => {
    // What the client says of its own cancellation is of no interest.
    void subscription.unsubscribe().catch(() => undefined)
    subscription.destroy()
  }
  signal.addEventListener('abort', end, { once: true })
  try {
    for await (const resolved of subscription) {
      const event = eventOf(resolved)
      if (event !== undefined) yield event
    }
  } finally {
    signal.removeEventListener('abort', end)
    end()
    await pause(0)
  }
}

function eventOf({ event, commitPosition }: ResolvedEvent): ClusterEvent | undefined {
  if (event === undefined) return undefined
  const commit = commitPosition ?? 0n
  return {
    id: event.id.toLowerCase(),
    stream: event.streamId,
    revision: Number(event.revision),
    type: event.type,
    isJson: event.isJson,
    data: bytesOf(event.data),
    metadata: bytesOf(event.metadata),
    createdMs: new Date(event.created).getTime(),
    position: event.position ?? { commit, prepare: commit },
  }
}

/** The client parses what is JSON: its text is made again, the same from every reading. */
function bytesOf(value: unknown): Uint8Array {
  if (value === undefined) return noBytes
  return value instanceof Uint8Array ? value : utf8(JSON.stringify(value))
}
