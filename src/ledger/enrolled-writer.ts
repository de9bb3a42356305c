import { contractOf } from '../contracts/catalog.js'
import { EvidenceError } from '../contracts/errors.js'
import type { EventContract } from '../contracts/event.js'
import { isReserved, type Writer } from '../contracts/identifiers.js'
import { isLimited, leafNameBytesMax } from '../contracts/leaf.js'
import { type RemoteComponent, remoteComponents } from '../contracts/worker.js'
import type { AppendRequest, AttemptName, EventDraft, EventStore, Receipt } from './event-store.js'
import { encodeFact } from './facts.js'
import { checkStream, isMetadataStream } from './stream-name.js'
import { type ClientAppend, type ClientWriter, refuseOthers } from './writers.js'

/** What a process was enrolled for. */
export interface EnrolledRights {
  readonly name: string
  readonly components: readonly RemoteComponent[]
  /** The only project it may append to; absent = every one. */
  readonly project?: string
}

/** Takes appends of processes that were enrolled, each by what its components may say (law 3). */
export interface EnrolledWriter {
  /**
   * Appends one request, or several together, after every event was judged: its contract, its writer, where it
   * stands, and whether the components of the process may say it.
   *
   * @throws EvidenceError as `appendTogether`; WORKER_REFUSED, WRITER_REFUSED, STREAM_INVALID, EVENT_INVALID,
   * EVENT_VERSION_UNKNOWN.
   */
  append(
    rights: EnrolledRights,
    requests: readonly AppendRequest[],
  ): Promise<readonly (readonly Receipt[])[]>
}

/** Categories of side effects that each component tells of; a component that is not named tells of none. */
const activityCategories: Partial<Record<RemoteComponent, (category: string) => boolean>> = {
  'execution-runtime': (category) =>
    ['asset', 'evidence', 'workflow', 'endpoint', 'browser'].includes(category),
  worker: (category) => category !== 'asset',
}
const recordingComponents: readonly RemoteComponent[] = ['api', 'worker']
const clientComponents: readonly RemoteComponent[] = ['api']

const mayTell = (component: RemoteComponent, { writer, category }: EventContract): boolean =>
  writer === 'activity'
    ? activityCategories[component]?.(category) === true
    : writer === 'recording' && recordingComponents.includes(component)

export function createEnrolledWriter(store: EventStore, clients: ClientWriter): EnrolledWriter {
  return {
    async append(rights, requests) {
      const checked = requests.map((request) => checkRequest(rights, request))
      const writers = new Set(checked.flatMap(({ events }) => events.map(({ writer }) => writer)))
      if (writers.size > 1)
        throw new EvidenceError('WRITER_REFUSED', 'one append holds the events of one writer')
      const [first] = checked
      const isOne = first !== undefined && checked.length === 1
      if (!writers.has('client'))
        return isOne ? [await store.append(first)] : store.appendTogether(checked)
      // Events of clients go the way that those of the ledger's own entrances go.
      const appends = checked.map(clientAppend)
      return isOne
        ? [await clients.appendClient(clientAppend(first))]
        : clients.appendClientTogether(appends)
    },
  }
}

/** Whether the access list of a stream lets somebody append was judged where their token was. */
const clientAppend = (request: AppendRequest): ClientAppend => ({
  ...request,
  user: { name: request.events[0]?.actor ?? '', access: ['administrator'] },
})

function checkRequest(rights: EnrolledRights, request: AppendRequest): AppendRequest {
  const { project, stream, events, attempt } = request
  checkStream(project, stream)
  if (rights.project !== undefined && rights.project !== project)
    throw refused(rights, `may append to the project ${rights.project} alone, not to ${project}`)
  return { ...request, events: events.map((event) => checkEvent(rights, stream, event, attempt)) }
}

function checkEvent(
  rights: EnrolledRights,
  stream: string,
  event: EventDraft,
  attempt: AttemptName | undefined,
): EventDraft {
  const contract = contractOf(event.type)
  if (event.writer === 'client') return checkClientEvent(rights, stream, event, contract)
  if (contract === undefined)
    throw new EvidenceError('EVENT_TYPE_UNKNOWN', `${event.type} is no type of the catalogue`)
  const { writer, version, type } = contract
  refuseOthers(event.writer, { stream, facts: [{ contract }] })
  if (!rights.components.some((component) => mayTell(component, contract)))
    throw refused(
      rights,
      `is enrolled for ${rights.components.join(', ')}, none of which appends ${type}`,
      writer,
    )
  if (event.version !== version)
    throw new EvidenceError(
      'EVENT_VERSION_UNKNOWN',
      `${type} is appended in version ${version}, not ${event.version}: run the same release everywhere`,
    )
  if (event.contentType !== 'application/json')
    throw new EvidenceError('EVENT_INVALID', `the data of ${type} is JSON`)
  if (writer === 'activity') checkAttempt(rights, event, attempt)
  const { id, data: bytes, metadata, contentType, actor } = event
  const received = { bytes, contentType, metadata }
  return encodeFact({ contract, id, data: undefined, received }, actor)
}

/** Side effects are told of by an attempt that has a name, under the name of the component. */
function checkAttempt(
  rights: EnrolledRights,
  { type, actor }: EventDraft,
  attempt: AttemptName | undefined,
): void {
  const names =
    attempt === undefined ? [] : [attempt.workflowId, attempt.activityId, attempt.activityType]
  if (names.length === 0 || names.some((name) => name === '' || !isLimited(name, leafNameBytesMax)))
    throw refused(rights, `appends ${type} outside an activity attempt`, 'activity')
  if (!remoteComponents.some((component) => component === actor))
    throw refused(rights, `appends ${type} under another name than that of a component`, 'activity')
}

function checkClientEvent(
  rights: EnrolledRights,
  stream: string,
  event: EventDraft,
  contract: EventContract | undefined,
): EventDraft {
  if (!rights.components.some((component) => clientComponents.includes(component)))
    throw refused(rights, 'is not enrolled for api, which alone appends events of clients')
  if (isReserved(stream) && !isMetadataStream(stream))
    throw new EvidenceError(
      'WRITER_REFUSED',
      `the stream ${stream} is in a reserved category: it takes no events of clients`,
    )
  if (contract !== undefined)
    throw new EvidenceError(
      'WRITER_REFUSED',
      `${contract.type} is appended only by the writer "${contract.writer}"`,
      { details: { type: contract.type, writer: contract.writer } },
    )
  return { ...event, version: '0' }
}

const refused = ({ name }: EnrolledRights, detail: string, writer?: Writer) =>
  new EvidenceError('WORKER_REFUSED', `the worker ${name} ${detail}`, {
    details: writer === undefined ? {} : { writer },
  })
