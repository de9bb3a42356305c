import type * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import type {
  AssetView,
  EventPage,
  EventView,
  ProposalView,
  TimelineEntry,
} from '../contracts/http.js'
import { Uuid } from '../contracts/identifiers.js'
import { proposalSubmitted } from '../contracts/proposal.js'
import { dataOf } from '../ledger/facts.js'
import { streamsOf } from '../proposals/kinds.js'
import { defaultProject } from '../runtime/bootstrap.js'
import { eventView } from '../runtime/event-view.js'
import { proposalTimeline, timelineEntry } from '../runtime/timeline.js'
import { type Command, connectionFlags, only, readArgs, type Terminal } from './command.js'
import { type Client, reading } from './connection.js'
import type { OfflineLedger } from './offline.js'
import { printJson, table } from './print.js'
import { statusOf } from './propose.js'

const assetEventsMax = 500

/** What was found under an id. */
type Found =
  | { readonly kind: 'proposal'; readonly view: ProposalView }
  | { readonly kind: 'timeline'; readonly timeline: readonly TimelineEntry[] }
  | { readonly kind: 'event'; readonly view: EventView }
  | { readonly kind: 'asset'; readonly view: AssetView; readonly events: readonly EventView[] }

export const show: Command = {
  name: 'show',
  usage: 'ID',
  summary: 'Every step of a proposal, an event, or an asset',
  async run(args, context) {
    const { values, positionals } = readArgs(args, connectionFlags, { min: 1, max: 1 })
    const id = only(positionals)
    const found = await reading(values, context, {
      online: (client) => findOnline(client, id),
      offline: (ledger) => findOffline(ledger, id),
    })
    if (values.json)
      printJson(context.terminal, found.kind === 'timeline' ? found.timeline : found.view)
    else print(context.terminal, found)
    return 0
  },
}

const orUndefined = (code: string) => (error: unknown) => {
  if (error instanceof EvidenceError && error.code === code) return undefined
  throw error
}

async function findOnline(client: Client, id: string): Promise<Found> {
  if (Uuid.safeParse(id).success) {
    const view = await client
      .get<ProposalView>(`/v1/proposals/${id}`)
      .catch(orUndefined('PROPOSAL_NOT_FOUND'))
    if (view !== undefined) return { kind: 'proposal', view }
    return { kind: 'event', view: await client.get<EventView>(`/v1/events/${id}`) }
  }
  const view = await client.get<AssetView>(`/v1/assets/${encodeURIComponent(id)}`)
  const page = await client.get<z.infer<typeof EventPage>>(
    `/v1/streams/${encodeURIComponent(`asset-${id}`)}?order=newest&limit=${assetEventsMax}`,
  )
  return { kind: 'asset', view, events: page.items.toReversed() }
}

async function findOffline({ reader, proofs }: OfflineLedger, id: string): Promise<Found> {
  if (Uuid.safeParse(id).success) {
    const event = await reader.find(id)
    if (event === undefined)
      throw new EvidenceError('EVENT_NOT_FOUND', `there is no event or proposal ${id}`)
    if (event.leaf.stream !== `proposal-${id}`)
      return { kind: 'event', view: eventView(event, proofs.origin) }
    const data = dataOf(proposalSubmitted, event)
    const streams = data === undefined ? [] : streamsOf({ ...data, assetIds: data.asset_ids })
    return {
      kind: 'timeline',
      timeline: await proposalTimeline(reader, { project: event.leaf.project, id, streams }),
    }
  }
  const timeline: TimelineEntry[] = []
  for await (const event of reader.readStream({
    project: defaultProject,
    stream: `asset-${id}`,
    direction: 'backwards',
    max: assetEventsMax,
  })) {
    timeline.push(timelineEntry(event))
  }
  if (timeline.length === 0) throw new EvidenceError('ASSET_NOT_FOUND', `there is no asset ${id}`)
  return { kind: 'timeline', timeline: timeline.toReversed() }
}

const steps = (terminal: Terminal, timeline: readonly TimelineEntry[]): string =>
  table(
    terminal,
    ['POSITION', 'TIME', 'EVENT', 'BY', 'WHAT', 'ID'],
    timeline.map((entry) => [
      entry.position,
      entry.time,
      entry.type,
      entry.actor,
      entry.summary,
      entry.event_id,
    ]),
  )

/** What a proposal changes: assets, or what its spec names. */
const changeOf = ({ operation, asset_ids: ids, kind, subject }: ProposalView): string =>
  subject === undefined ? `${operation} ${ids.join(', ')}` : `${operation} ${subject} (${kind})`

function print(terminal: Terminal, found: Found): void {
  switch (found.kind) {
    case 'proposal': {
      const { view } = found
      terminal.out(
        `${statusOf(view)}change    ${changeOf(view)}\nreason    ${view.reason} (${view.proposer})\n\n`,
      )
      terminal.out(steps(terminal, view.timeline))
      return
    }
    case 'timeline':
      terminal.out(steps(terminal, found.timeline))
      return
    case 'event':
      terminal.out(
        table(
          terminal,
          ['FIELD', 'VALUE'],
          Object.entries(found.view).map(([name, value]) => [
            name,
            typeof value === 'object' ? JSON.stringify(value) : value,
          ]),
        ),
      )
      return
    case 'asset': {
      const { view, events } = found
      terminal.out(
        `asset     ${view.asset_id} (${view.kind}, role ${view.role})\nstate     ${view.state.run_state}, revision ${view.state_revision}, recorded ${view.recorded_at}\n`,
      )
      terminal.out(`digest    ${view.state_sha256}\n\n`)
      terminal.out(
        table(
          terminal,
          ['POSITION', 'TIME', 'EVENT', 'BY', 'ID'],
          events.map((one) => [one.position, one.recordedtime, one.type, one.actor, one.id]),
        ),
      )
    }
  }
}
