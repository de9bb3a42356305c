import type {
  AppendRequest,
  AttemptName,
  EventDraft,
  EventStore,
  ExpectedRevision,
  Receipt,
} from './event-store.js'
import { contractOf } from '../contracts/catalog.js'
import { EvidenceError } from '../contracts/errors.js'
import { isReserved, type Writer } from '../contracts/identifiers.js'
import type { StreamMetadata } from '../contracts/stream-metadata.js'
import { encodeFact, type Fact } from './facts.js'
import { operationOn, requireListed, type StreamUser } from './stream-access.js'
import { metadataRequest } from './stream-metadata.js'
import { isMetadataStream, metadataStreamOf } from './stream-name.js'
import { streamStandings } from './stream-standings.js'

/** Facts that go onto one stream together, in this order. */
export interface Recording {
  readonly project: string
  readonly stream: string
  readonly expected: ExpectedRevision
  readonly actor: string
  readonly facts: readonly Fact[]
}

/** Appends events whose contract has the writer `recording`. The API and its followers hold one. */
export interface RecordWriter {
  record(recording: Recording): Promise<readonly Receipt[]>
}

/** Events of a client for one stream, outside the reserved categories. */
export interface ClientAppend {
  readonly project: string
  readonly stream: string
  readonly expected: ExpectedRevision
  readonly events: readonly Omit<EventDraft, 'writer' | 'version'>[]
  /** Whom the access list of the stream must let append. */
  readonly user: StreamUser
}

/** Appends events of our clients to streams outside the reserved categories, and to the metadata of such streams. */
export interface ClientWriter {
  appendClient(append: ClientAppend): Promise<readonly Receipt[]>
  /** As `appendTogether` of the event store; an append without events asks about any stream, reserved or not. */
  appendClientTogether(appends: readonly ClientAppend[]): Promise<readonly (readonly Receipt[])[]>
  /** Sets what is shown of such a stream; `expected` is the revision of its metadata. */
  setStreamMetadata(change: {
    readonly project: string
    readonly stream: string
    readonly expected: ExpectedRevision
    readonly id: string
    readonly actor: string
    readonly metadata: StreamMetadata
    readonly user: StreamUser
    /** What is done by it. Default: `change-metadata`. */
    readonly operation?: 'change-metadata' | 'delete'
  }): Promise<readonly Receipt[]>
}

/** The attempt of one activity, to which a side-effect capability is bound. */
export interface Attempt extends AttemptName {
  /** Whether the caller runs inside exactly this attempt. */
  isCurrent(): boolean
}

/**
 * Appends events that tell of side effects (contracts with the writer `activity`).
 * Minted per attempt; refuses outside its attempt and after its end.
 */
export interface SideEffectWriter {
  record(recording: Recording): Promise<readonly Receipt[]>
}

/** Whether facts may be recorded by this writer there. @throws EvidenceError WRITER_REFUSED, STREAM_INVALID. */
export const refuseOthers = (
  writer: Writer,
  recording: { readonly stream: string; readonly facts: readonly Pick<Fact, 'contract'>[] },
): void => {
  for (const { contract } of recording.facts) {
    if (contract.writer !== writer) {
      throw new EvidenceError(
        'WRITER_REFUSED',
        `${contract.type} is appended only by the writer "${contract.writer}", not by "${writer}"`,
        { details: { type: contract.type, writer: contract.writer } },
      )
    }
    if (!recording.stream.startsWith(`${contract.category}-`)) {
      throw new EvidenceError(
        'STREAM_INVALID',
        `${contract.type} stands only in streams named ${contract.category}-<id>`,
      )
    }
  }
}

const recorder =
  (store: EventStore, writer: Writer, attempt?: AttemptName) => (recording: Recording) => {
    refuseOthers(writer, recording)
    return store.append({
      project: recording.project,
      stream: recording.stream,
      expected: recording.expected,
      ...(attempt === undefined ? {} : { attempt }),
      events: recording.facts.map((fact) => encodeFact(fact, recording.actor)),
    })
  }

export const createRecordWriter = (store: EventStore): RecordWriter => {
  const record = recorder(store, 'recording')
  return { record: async (recording) => record(recording) }
}

export const createLedgerWriter = (store: EventStore): RecordWriter => {
  const record = recorder(store, 'ledger')
  return { record: async (recording) => record(recording) }
}

export function createClientWriter(store: EventStore): ClientWriter {
  const standings = streamStandings(store)
  const requestOf = ({ project, stream, expected, events }: ClientAppend): AppendRequest => ({
    project,
    stream,
    expected,
    events: events.map((event) => ({ ...event, writer: 'client', version: '0' })),
  })
  const judge = ({ stream, user }: ClientAppend, standing: StreamMetadata) => {
    requireListed(standing, operationOn(stream, 'append'), stream, user)
  }
  return {
    async appendClient(append) {
      refuseForeign(append)
      const request = requestOf(append)
      return standings.append(
        [append],
        ([standing = {}]) => judge(append, standing),
        () => store.append(request),
      )
    },
    async appendClientTogether(appends) {
      const adding = appends.filter(({ events }) => events.length > 0)
      for (const append of adding) refuseForeign(append)
      const requests = appends.map(requestOf)
      return standings.append(
        adding,
        (found) => adding.forEach((append, i) => judge(append, found[i] ?? {})),
        () => store.appendTogether(requests),
      )
    },
    async setStreamMetadata({ user, operation = 'change-metadata', ...change }) {
      const { project, stream } = change
      return standings.append(
        [{ project, stream: metadataStreamOf(stream) }],
        ([standing]) => requireListed(standing, operation, stream, user),
        () => store.append(metadataRequest(change, 'client')),
      )
    },
  }
}

/** @throws EvidenceError WRITER_REFUSED for what is not a client's to append. */
function refuseForeign({ stream, events }: ClientAppend): void {
  // What stands on a metadata stream is checked by the store.
  if (isReserved(stream) && !isMetadataStream(stream)) {
    throw new EvidenceError(
      'WRITER_REFUSED',
      `the stream ${stream} is in a reserved category: it takes no events of clients`,
    )
  }
  for (const { type } of events) {
    // A fold may trust the type alone: events of the catalogue stand nowhere but where they belong.
    const contract = contractOf(type)
    if (contract === undefined) continue
    throw new EvidenceError(
      'WRITER_REFUSED',
      `${type} is appended only by the writer "${contract.writer}" to streams named ${contract.category}-<id>`,
      { details: { type, writer: contract.writer } },
    )
  }
}

/** Mints the capability of one attempt. `end` takes it back; the interceptor calls it in every case. */
export function mintSideEffectWriter(
  store: EventStore,
  attempt: Attempt,
): { readonly writer: SideEffectWriter; end(): void } {
  const { workflowId, activityId, activityType } = attempt
  const record = recorder(store, 'activity', { workflowId, activityId, activityType })
  let ended = false
  return {
    writer: {
      async record(recording) {
        if (ended || !attempt.isCurrent()) {
          throw new EvidenceError(
            'CAPABILITY_ENDED',
            `the side-effect capability of ${attempt.activityType} ${attempt.activityId} of workflow ${attempt.workflowId} is not valid here`,
          )
        }
        return record(recording)
      },
    },
    end() {
      ended = true
    },
  }
}
