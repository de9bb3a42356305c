import type { EventReader, RecordedEvent } from '../ledger/event-store.js'
import { type EventGraph, lineageOf } from './lineage-of.js'
import { isHub, nowhere, type Sources, sourcesAbove, sourcesBelow } from './lineage-sources.js'
import { type Names, namesOf, readName } from './names.js'
import { properties, type PropertyName } from './terms.js'

export const depthMax = 32
/** Links of one answer. */
export const linksMax = 2_000
/** Events that one walk reads; of one stream the newest ones. */
export const eventsMax = 5_000
export const streamEventsMax = 2_000
export const typeEventsMax = 500

/** One step of lineage: something, how it came to be, what it came from, and the event that tells it. */
export interface Link {
  readonly from: string
  readonly relation: PropertyName
  readonly to: string
  readonly event: RecordedEvent
}

export interface Walk {
  /** In the order in which they were found, nearest first. */
  readonly links: readonly Link[]
  /** Steps from the nearest root to each thing. */
  readonly distances: ReadonlyMap<string, number>
  /** The graphs of the events that tell the links, by name. */
  readonly graphs: ReadonlyMap<string, EventGraph>
  /** Why something may be missing; empty when nothing is, within the depth. */
  readonly leftOut: readonly string[]
}

/** What a walk needs beside the ledger: which streams the proposals touch. */
export interface LineagePaths {
  readonly reader: EventReader
  /** What stands in the name of the ledger's own stream. */
  readonly ledger: string
  /** Streams of what a proposal is about. */
  streamsOfProposal(project: string, id: string): Promise<readonly string[]>
  /** Ids of the proposals about an asset, newest first. */
  proposalsAbout(project: string, assetId: string): Promise<readonly string[]>
}

const relations = new Map<string, PropertyName>(
  Object.entries(properties)
    .filter(([, { leadsBack }]) => leadsBack)
    // The keys are the names of properties.
    .map(([name, { iri }]) => [iri, name as PropertyName]),
)

/** The links that the graph of an event tells. */
export const linksOf = (event: RecordedEvent, { quads }: EventGraph): Link[] =>
  quads.flatMap(({ subject, predicate, object }) => {
    const relation = relations.get(predicate)
    return relation === undefined || typeof object !== 'string'
      ? []
      : [{ from: subject, relation, to: object, event }]
  })

/** Reads what the ledger tells, each place once, and keeps it by the things it tells of. */
function createGathering(paths: LineagePaths, project: string, names: Names) {
  const { reader, ledger } = paths
  const above = new Map<string, Link[]>()
  const below = new Map<string, Link[]>()
  const graphs = new Map<string, EventGraph>()
  const read = new Set<string>()
  const leftOut = new Set<string>()

  const keep = (map: Map<string, Link[]>, key: string, link: Link) => {
    const links = map.get(key)
    if (links === undefined) map.set(key, [link])
    else links.push(link)
  }

  const add = (event: RecordedEvent) => {
    if (event.leaf.project !== project) return
    const name = names.event(event.leaf.id)
    if (graphs.has(name)) return
    if (graphs.size >= eventsMax) {
      leftOut.add(`more than ${eventsMax} events tell of it`)
      return
    }
    const graph = lineageOf(event, ledger)
    graphs.set(name, graph)
    for (const link of linksOf(event, graph)) {
      keep(above, link.from, link)
      keep(below, link.to, link)
    }
  }

  const readStream = async (stream: string) => {
    if (read.has(stream)) return
    read.add(stream)
    let count = 0
    const newest = { project, stream, direction: 'backwards', max: streamEventsMax } as const
    for await (const event of reader.readStream(newest)) {
      count += 1
      add(event)
    }
    if (count === streamEventsMax)
      leftOut.add(`of ${stream} the newest ${streamEventsMax} events were read`)
  }

  const readEvent = async (id: string) => {
    const event = await reader.find(id)
    if (event?.leaf.project !== project) return
    add(event)
    await readStream(event.leaf.stream)
  }

  const readType = async (type: string) => {
    if (read.has(`type ${type}`)) return
    read.add(`type ${type}`)
    const filter = { project, types: [type] }
    for await (const event of reader.readLog({
      filter,
      direction: 'backwards',
      max: typeEventsMax,
    }))
      add(event)
  }

  return {
    above: (iri: string) => above.get(iri) ?? [],
    below: (iri: string) => below.get(iri) ?? [],
    graphs,
    leftOut,
    async gather({ streams, events, types, proposals, assets }: Sources) {
      for (const stream of streams) await readStream(stream)
      for (const id of events) await readEvent(id)
      for (const type of types) await readType(type)
      for (const id of proposals)
        for (const stream of await paths.streamsOfProposal(project, id)) await readStream(stream)
      for (const assetId of assets)
        for (const id of await paths.proposalsAbout(project, assetId)) {
          if (graphs.size >= eventsMax) break
          await readStream(`proposal-${id}`)
          await readStream(`evidence-${id}`)
        }
    },
  }
}

/**
 * What led to some things (`up`), or came of them (`down`), step by step from the ledger itself. Bounded in
 * depth, links and events read; what is missing for that is said.
 */
export async function walkLineage(
  paths: LineagePaths,
  question: {
    readonly project: string
    readonly roots: readonly string[]
    /** Events that tell of the roots, where their names do not say which. */
    readonly events: readonly string[]
    readonly direction: 'up' | 'down'
    readonly depth: number
  },
): Promise<Walk> {
  const { project, roots, direction, depth } = question
  const names = namesOf(paths.ledger, project)
  const gathering = createGathering(paths, project, names)
  const sources = direction === 'up' ? sourcesAbove : sourcesBelow
  const distances = new Map<string, number>(roots.map((root) => [root, 0]))
  const links: Link[] = []
  let frontier = [...roots]
  await gathering.gather({ ...nowhere, events: question.events })
  for (let distance = 1; distance <= depth && frontier.length > 0; distance += 1) {
    const next: string[] = []
    for (const iri of frontier) {
      if (direction === 'down' && isHub(names, iri)) {
        gathering.leftOut.add(`what came of ${iri} is asked of the graph`)
        continue
      }
      await gathering.gather(sources(names, iri))
      if (direction === 'down') await gatherAroundEvidence(gathering, names, iri)
      for (const link of direction === 'up' ? gathering.above(iri) : gathering.below(iri)) {
        if (links.length >= linksMax) {
          gathering.leftOut.add(`it has more than ${linksMax} links`)
          break
        }
        links.push(link)
        const reached = direction === 'up' ? link.to : link.from
        if (distances.has(reached)) continue
        distances.set(reached, distance)
        next.push(reached)
      }
    }
    frontier = next
  }
  const told = new Set(links.map(({ event }) => names.event(event.leaf.id)))
  return {
    links,
    distances,
    graphs: new Map([...gathering.graphs].filter(([name]) => told.has(name))),
    leftOut: [...gathering.leftOut],
  }
}

/** What was done with evidence stands in the stream of the asset that it is of. */
async function gatherAroundEvidence(
  gathering: ReturnType<typeof createGathering>,
  names: Names,
  iri: string,
): Promise<void> {
  if (readName(names, iri)?.kind !== 'evidence') return
  for (const { relation, to } of gathering.above(iri))
    if (relation === 'hadPrimarySource') await gathering.gather(sourcesAbove(names, to))
}
