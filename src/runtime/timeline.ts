import { contractOf } from '../contracts/catalog.js'
import type { TimelineEntry } from '../contracts/http.js'
import { hexOf } from '../ledger/encoding.js'
import type { EventReader, RecordedEvent } from '../ledger/event-store.js'
import type { Proposal } from '../proposals/proposal.js'
import { jsonData } from './event-view.js'

/** Events of one change that a timeline shows; further ones stand in their streams. */
export const timelineEventsMax = 2_000
/** How far back the stream of an asset or identity is searched for the events of one change. */
const subjectEventsMax = 10_000

type Fields = Readonly<Record<string, unknown>>

const text = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : ''
const reason = (data: Fields): string => {
  const why = data['reason']
  if (typeof why === 'string') return why === '' ? '' : `: ${why}`
  return typeof why === 'object' && why !== null && 'message' in why ? `: ${text(why.message)}` : ''
}
const first = (value: unknown): Fields => {
  const item: unknown = Array.isArray(value) ? value[0] : undefined
  // Array members of JSON that are objects are records by what JSON is.
  return typeof item === 'object' && item !== null ? (item as Fields) : {}
}
const decided = (when: string) => (data: Fields) => {
  const why = text(first(data['reasons'])['message'])
  return `Policy ${when}: ${text(data['outcome'])}${why === '' ? '' : `, ${why}`}`
}

/** One sentence for people, per type; what is not named here is told by the summary of its contract. */
const sentences: Readonly<Record<string, (data: Fields, actor: string) => string>> = {
  'proposal.submitted': (d, actor) => `${actor} proposed ${text(d['operation'])}${reason(d)}`,
  'proposal.routed': (d) =>
    d['route'] === 'approval'
      ? `Waits for ${text(d['approvals_required'])} approval(s)`
      : d['route'] === 'execution'
        ? 'Goes on to execution'
        : 'Blocked: it will not be executed',
  'proposal.approved': (_, actor) => `${actor} approved exactly this proposal`,
  'proposal.rejected': (d, actor) => `${actor} rejected it${reason(d)}`,
  'proposal.commented': (d, actor) => `${actor}: ${text(d['text'])}`,
  'proposal.withdrawn': (d, actor) => `${actor} withdrew it${reason(d)}`,
  'proposal.cancelled': (d, actor) => `${actor} cancelled it${reason(d)}`,
  'proposal.failed': (d) => `The change failed${reason(d)}`,
  'policy.simulated': decided('was asked before anything runs'),
  'policy.enforced': decided('was asked again at execution'),
  'workflow.step-finished': (d) => `Step ${text(d['step'])}: ${text(d['outcome'])}${reason(d)}`,
  'workflow.failed': (d) => `The workflow failed${reason(d)}`,
  'asset.mutation-intended': (d) => `About to ${text(d['operation'])} ${text(d['asset_id'])}`,
  'asset.mutated': (d) =>
    `${text(d['asset_id'])}: ${text(d['operation'])} took effect, state revision ${text(d['state_revision'])}`,
  'asset.mutation-failed': (d) =>
    `${text(d['asset_id'])}: ${text(d['operation'])} failed${reason(d)}`,
  'asset.mutation-indeterminate': (d) =>
    `${text(d['asset_id'])}: nobody knows yet whether ${text(d['operation'])} took effect${reason(d)}`,
  'asset.resolved': (d) =>
    `${text(d['asset_id'])}: ${text(d['operation'])} was resolved as ${text(d['outcome'])}${reason(d)}`,
  'asset.observed': (d) => `${text(d['asset_id'])} was seen changed (${text(d['cause'])})`,
  'asset.registered': (d) => `${text(d['asset_id'])} came under control`,
  'identity.worker-enrolled': (d) => `${text(d['name'])} was enrolled`,
  'identity.revoked': (d) => `The enrolment of ${text(d['name'])} was ended`,
  'evidence.captured': (d) => `Evidence of ${text(d['asset_id'])} ${text(d['phase'])} the mutation`,
  'evidence.recorded': (d, actor) =>
    `${actor} recorded evidence: ${text(d['description']) || text(d['media_type'])}`,
}

/** One event as a timeline shows it. */
export function timelineEntry(event: RecordedEvent): TimelineEntry {
  const { leaf } = event
  const data = jsonData(event) ?? null
  const contract = contractOf(leaf.type)
  const known = contract?.writer === leaf.writer ? contract : undefined
  const sentence = known === undefined ? undefined : sentences[leaf.type]
  const fields =
    typeof data === 'object' && data !== null && !Array.isArray(data) ? data : undefined
  return {
    event_id: leaf.id,
    type: leaf.type,
    stream: leaf.stream,
    revision: leaf.revision,
    position: String(event.position),
    time: leaf.time,
    actor: leaf.actor,
    writer: leaf.writer,
    summary:
      sentence !== undefined && fields !== undefined
        ? sentence(fields, leaf.actor)
        : (known?.summary ?? leaf.type),
    leaf_hash: hexOf(event.leafHash),
    data,
  }
}

/** Every event of a change, from request to outcome, in ledger order. */
export async function proposalTimeline(
  reader: EventReader,
  proposal: Pick<Proposal, 'project' | 'id' | 'workflowId'> & {
    readonly streams: readonly string[]
  },
): Promise<TimelineEntry[]> {
  const { project, id } = proposal
  const found = new Map<number, RecordedEvent>()
  const add = (event: RecordedEvent) => {
    if (found.size < timelineEventsMax) found.set(event.position, event)
  }
  const addStream = async (stream: string) => {
    for await (const event of reader.readStream({ project, stream, max: timelineEventsMax }))
      add(event)
  }
  await addStream(`proposal-${id}`)
  const begin = Math.min(...found.keys())
  await addStream(`workflow-${proposal.workflowId ?? id}`)
  await addStream(`evidence-${id}`)
  for (const stream of proposal.streams) {
    const backwards = { project, stream, direction: 'backwards' as const, max: subjectEventsMax }
    for await (const event of reader.readStream(backwards)) {
      if (event.position < begin) break
      if (belongs(event, id)) add(event)
    }
  }
  // Evidence of a mutation may stand in a stream of its own: the mutation names it.
  for (const evidenceId of [...found.values()].flatMap(evidenceNamed)) {
    const evidence = await reader.find(evidenceId)
    if (evidence?.leaf.project === project) add(evidence)
  }
  return [...found.values()].sort((a, b) => a.position - b.position).map(timelineEntry)
}

const fieldsOf = (event: RecordedEvent): Fields => {
  const data = jsonData(event)
  return typeof data === 'object' && data !== null && !Array.isArray(data) ? data : {}
}

const belongs = (event: RecordedEvent, proposalId: string): boolean =>
  fieldsOf(event)['proposal_id'] === proposalId

const evidenceNamed = (event: RecordedEvent): string[] => {
  if (!event.leaf.type.startsWith('asset.')) return []
  const { evidence_before: before, evidence_after: after } = fieldsOf(event)
  return [before, after].filter((id) => typeof id === 'string')
}
