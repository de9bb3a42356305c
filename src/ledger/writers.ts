import type { EventDraft, EventStore, ExpectedRevision, Receipt } from './event-store.js'
import { contractOf } from '../contracts/catalog.js'
import { EvidenceError } from '../contracts/errors.js'
import { isReserved, type Writer } from '../contracts/identifiers.js'
import type { StreamMetadata } from '../contracts/stream-metadata.js'
import { encodeFact, type Fact } from './facts.js'
import { metadataRequest } from './stream-metadata.js'
import { describedStream, isMetadataStream } from './stream-name.js'

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

/** Appends events of our clients to streams outside the reserved categories, and to the metadata of such streams. */
export interface ClientWriter {
  appendClient(append: {
    readonly project: string
    readonly stream: string
    readonly expected: ExpectedRevision
    readonly events: readonly Omit<EventDraft, 'writer' | 'version'>[]
  }): Promise<readonly Receipt[]>
  /** Sets what is shown of such a stream; `expected` is the revision of its metadata. */
  setStreamMetadata(change: {
    readonly project: string
    readonly stream: string
    readonly expected: ExpectedRevision
    readonly id: string
    readonly actor: string
    readonly metadata: StreamMetadata
  }): Promise<readonly Receipt[]>
}

/** The attempt of one activity, to which a side-effect capability is bound. */
export interface Attempt {
  readonly workflowId: string
  readonly activityId: string
  readonly activityType: string
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

const refuseOthers = (writer: Writer, recording: Recording) => {
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

const recorder = (store: EventStore, writer: Writer) => (recording: Recording) => {
  refuseOthers(writer, recording)
  return store.append({
    project: recording.project,
    stream: recording.stream,
    expected: recording.expected,
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
  const ended = endedStreams(store)
  return {
    async appendClient({ project, stream, expected, events }) {
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
        if (contract !== undefined) {
          throw new EvidenceError(
            'WRITER_REFUSED',
            `${type} is appended only by the writer "${contract.writer}" to streams named ${contract.category}-<id>`,
            { details: { type, writer: contract.writer } },
          )
        }
      }
      await ended.refuse(project, stream)
      const append = () =>
        store.append({
          project,
          stream,
          expected,
          events: events.map((event) => ({ ...event, writer: 'client', version: '0' })),
        })
      return isMetadataStream(stream) ? ended.changing(project, stream, append) : append()
    },
    async setStreamMetadata(change) {
      const { project, stream } = change
      await ended.refuse(project, stream)
      return ended.changing(project, stream, () => store.append(metadataRequest(change, 'client')))
    },
  }
}

/** Streams of which it is remembered whether they were ended. */
const rememberedMax = 16_384

/**
 * Which streams of clients were ended for good. Every change of that goes through this writer, so that what
 * it remembers is true. Who asks for one stream is answered in the order of asking: appends keep theirs.
 */
function endedStreams(store: EventStore) {
  const known = new Map<string, Promise<boolean>>()
  const keyOf = (project: string, stream: string) => `${project}\n${describedStream(stream)}`
  const lookUp = async (project: string, stream: string) =>
    (await store.streamMetadata(project, describedStream(stream)))?.metadata.$tombstoned === true
  return {
    /** @throws EvidenceError STREAM_DELETED. */
    async refuse(project: string, stream: string): Promise<void> {
      const key = keyOf(project, stream)
      let ended = known.get(key)
      if (ended === undefined) {
        if (known.size >= rememberedMax) known.clear()
        ended = lookUp(project, stream)
        known.set(key, ended)
        ended.catch(() => known.delete(key))
      }
      if (await ended)
        throw new EvidenceError(
          'STREAM_DELETED',
          `the stream ${describedStream(stream)} was ended`,
          {
            details: { project, stream: describedStream(stream) },
          },
        )
    },
    /** Runs what may end the stream; what was remembered of it counts no more. */
    async changing<Answer>(project: string, stream: string, change: () => Promise<Answer>) {
      known.delete(keyOf(project, stream))
      return change().finally(() => known.delete(keyOf(project, stream)))
    },
  }
}

/** Mints the capability of one attempt. `end` takes it back; the interceptor calls it in every case. */
export function mintSideEffectWriter(
  store: EventStore,
  attempt: Attempt,
): { readonly writer: SideEffectWriter; end(): void } {
  const record = recorder(store, 'activity')
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
