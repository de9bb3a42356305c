import { EvidenceError } from '../contracts/errors.js'
import { AssetId, isUuid } from '../contracts/identifiers.js'
import type { LineageDirection, LineageNode, LineageView } from '../contracts/lineage.js'
import { hexOf, utf8 } from '../ledger/encoding.js'
import type { EventReader } from '../ledger/event-store.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { ledgerStreamOf } from '../ledger/stream-name.js'
import type { GraphShapes } from '../ontology/graph-shapes.js'
import { type EventGraph, lineageOf } from '../ontology/lineage-of.js'
import { type LineagePaths, type Link, type Walk, walkLineage } from '../ontology/lineage-walk.js'
import { type Names, namesOf, readName } from '../ontology/names.js'
import { graphDigest, type Quad, thing, typeOf } from '../ontology/rdf.js'
import { classes, prefixes, properties } from '../ontology/terms.js'

/** A lineage as it is answered: for programs, and as statements. */
export interface LineageAnswer {
  readonly view: LineageView
  /** The links in the default graph, and the whole graph of each event that tells one. */
  readonly quads: readonly Quad[]
}

export interface Lineage {
  /**
   * What led to something (`up`), or came of it (`down`). The id is that of an event or proposal, or an
   * asset_id, which stands for the last state of the asset.
   *
   * @throws EvidenceError EVENT_NOT_FOUND, GRAPH_INVALID.
   */
  ask(
    project: string,
    id: string,
    wish: { readonly direction: LineageDirection; readonly depth: number },
  ): Promise<LineageAnswer>
}

export interface LineageParts {
  readonly reader: EventReader
  readonly origin: string
  readonly shapes: GraphShapes
  readonly streamsOfProposal: LineagePaths['streamsOfProposal']
  readonly proposalsAbout: LineagePaths['proposalsAbout']
}

/** What stands in the name of the ledger's own stream, and in every name of its graphs. */
export const ledgerIdOf = (origin: string): string =>
  ledgerStreamOf(nodeCrypto.sha256, origin).slice('ledger-'.length)

export function createLineage(parts: LineageParts): Lineage {
  const ledger = ledgerIdOf(parts.origin)
  const paths: LineagePaths = { ...parts, ledger }
  return {
    async ask(project, id, { direction, depth }) {
      // Taken before anything is read: what was on the ledger by then is in the answer.
      const position = parts.reader.size()
      const roots = await rootsOf(paths, project, id)
      const events = isUuid(id) ? [id] : []
      const walks: { sign: 1 | -1; walk: Walk }[] = []
      for (const way of direction === 'both' ? (['up', 'down'] as const) : [direction])
        walks.push({
          sign: way === 'up' ? -1 : 1,
          walk: await walkLineage(paths, { project, roots, events, direction: way, depth }),
        })
      const graphs = new Map(walks.flatMap(({ walk }) => [...walk.graphs]))
      for (const graph of graphs.values()) await parts.shapes.check(graph)
      const names = namesOf(ledger, project)
      const links = distinct(walks.flatMap(({ walk }) => walk.links))
      const quads = [
        ...links.flatMap((link) => linkQuads(names, link)),
        ...[...graphs.values()].flatMap((graph) => graph.quads),
      ]
      const view: LineageView = {
        roots: [...roots],
        direction,
        depth,
        nodes: nodesOf(names, walks, quads),
        edges: links.map(({ from, relation, to, event }) => ({
          from,
          relation,
          to,
          event_id: event.leaf.id,
          position: String(event.position),
          proof: proofOf(event.leaf.id),
        })),
        events: eventsOf(names, links, graphs),
        left_out: [...new Set(walks.flatMap(({ walk }) => walk.leftOut))],
        position: String(position),
      }
      return { view, quads }
    },
  }
}

const proofOf = (id: string): string => `/v1/events/${id}/proof`

/** The things that an id stands for. */
async function rootsOf(
  { reader, ledger }: LineagePaths,
  project: string,
  id: string,
): Promise<readonly string[]> {
  const names = namesOf(ledger, project)
  if (isUuid(id)) {
    const event = await reader.find(id)
    if (event?.leaf.project === project) {
      const recorded = recordsOf(lineageOf(event, ledger))
      return recorded.length > 0 ? recorded : [names.event(id)]
    }
  }
  if (AssetId.safeParse(id).success) {
    const stream = { project, stream: `asset-${id}`, direction: 'backwards' } as const
    for await (const event of reader.readStream(stream)) {
      const state = recordsOf(lineageOf(event, ledger)).find(
        (iri) => readName(names, iri)?.kind === 'state',
      )
      if (state !== undefined) return [state]
    }
  }
  throw new EvidenceError('EVENT_NOT_FOUND', `there is no event, proposal or asset ${id}`)
}

const recordsOf = ({ name, quads }: EventGraph): string[] =>
  quads.flatMap(({ subject, predicate, object }) =>
    subject === name && predicate === properties.records.iri && typeof object === 'string'
      ? [object]
      : [],
  )

const keyOf = ({ from, relation, to, event }: Link): string =>
  [from, relation, to, event.leaf.id].join(' ')

/** Up and down meet in what was asked for; a loop may be walked twice. */
const distinct = (links: readonly Link[]): Link[] => [
  ...new Map(links.map((link) => [keyOf(link), link])).values(),
]

/** A link as a statement about a statement: so that it names its event in every format. */
function linkQuads(names: Names, link: Link): Quad[] {
  const key = hexOf(nodeCrypto.sha256(utf8(keyOf(link)))).slice(0, 32)
  const { id } = link.event.leaf
  return thing(names.link(key), 'Link', {
    subject: link.from,
    predicate: properties[link.relation].iri,
    object: link.to,
    toldBy: names.event(id),
    position: link.event.position,
    proof: proofOf(id),
  }).map((triple) => ({ ...triple, graph: '' }))
}

const ownClasses = new Map<string, string>(
  Object.entries(classes)
    .filter(([, [iri]]) => iri.startsWith(prefixes.l))
    .map(([name, [iri]]) => [iri, name]),
)

function nodesOf(
  names: Names,
  walks: readonly { readonly sign: 1 | -1; readonly walk: Walk }[],
  quads: readonly Quad[],
): LineageNode[] {
  const classOf = new Map<string, string>()
  for (const { subject, predicate, object } of quads) {
    const name =
      predicate === typeOf && typeof object === 'string' ? ownClasses.get(object) : undefined
    if (name !== undefined) classOf.set(subject, name)
  }
  const nodes = new Map<string, LineageNode>()
  for (const { sign, walk } of walks)
    for (const [id, steps] of walk.distances) {
      if (nodes.has(id)) continue
      const { kind = '', parts = [] } = readName(names, id) ?? {}
      const label = `${kind} ${parts.join(' ')}`
      nodes.set(id, { id, class: classOf.get(id) ?? '', label, distance: sign * steps || 0 })
    }
  return [...nodes.values()]
}

function eventsOf(
  names: Names,
  links: readonly Link[],
  graphs: ReadonlyMap<string, EventGraph>,
): LineageView['events'] {
  const events = new Map(links.map(({ event }) => [event.position, event]))
  return [...events.values()]
    .sort((a, b) => a.position - b.position)
    .map(({ leaf, position, leafHash }) => ({
      event_id: leaf.id,
      position: String(position),
      type: leaf.type,
      stream: leaf.stream,
      time: leaf.time,
      actor: leaf.actor,
      leaf_hash: hexOf(leafHash),
      graph_sha256: graphDigest(nodeCrypto.sha256, graphs.get(names.event(leaf.id))?.quads ?? []),
      proof: proofOf(leaf.id),
    }))
}
