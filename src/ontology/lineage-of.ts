import { contractOf } from '../contracts/catalog.js'
import { readData } from '../contracts/event.js'
import { hexOf } from '../ledger/encoding.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { jsonOf, metadataOf } from '../ledger/facts.js'
import { isUuid } from '../contracts/identifiers.js'
import { assetLineage, evidenceLineage, workflowLineage } from './asset-lineage.js'
import { identityLineage, ledgerLineage, projectionLineage } from './control-lineage.js'
import { namesOf } from './names.js'
import { proposalLineage } from './proposal-lineage.js'
import { type Quad, thing, type Triple, typeOf } from './rdf.js'
import { prefixes } from './terms.js'
import type { Tale, Telling } from './told.js'

const mappings = new Map([
  ...proposalLineage,
  ...assetLineage,
  ...evidenceLineage,
  ...workflowLineage,
  ...identityLineage,
  ...projectionLineage,
  ...ledgerLineage,
])

/** Types of events whose data becomes statements. */
export const mappedTypes: readonly string[] = [...mappings.keys()]

/** The graph of one event: what it tells as provenance. */
export interface EventGraph {
  /** Its name, which is that of the event. */
  readonly name: string
  readonly quads: readonly Quad[]
}

/** The class of the events of a type of the catalogue: `asset.mutated` is `l:AssetMutated`. */
export const eventClassOf = (type: string): string =>
  prefixes.l +
  type
    .split(/[.-]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')

const nothing: Tale = { records: [], triples: [] }

/** What the data of an event tells; nothing for events of clients, and once it was erased. */
function taleOf(event: RecordedEvent, telling: Telling): Tale {
  const { type, version, writer } = event.leaf
  const contract = contractOf(type)
  const tell = mappings.get(type)
  if (contract?.writer !== writer || tell === undefined || event.data === null) return nothing
  return tell(readData(contract, version, jsonOf(event)), telling)
}

/** What the leaf of an event tells: it stays when the data is erased. */
function leafTriples({ event, names, actor }: Telling, tale: Tale): Triple[] {
  const { leaf } = event
  const name = names.event(leaf.id)
  const cause = metadataOf(event).causation_id
  const known = contractOf(leaf.type)?.writer === leaf.writer
  return [
    ...(known ? [{ subject: name, predicate: typeOf, object: eventClassOf(leaf.type) }] : []),
    ...thing(name, 'Event', {
      records: tale.records,
      wasAttributedTo: actor,
      wasDerivedFrom: cause !== undefined && isUuid(cause) ? names.event(cause) : undefined,
      generatedAtTime: leaf.time,
      position: event.position,
      revision: leaf.revision,
      stream: leaf.stream,
      project: leaf.project,
      eventType: leaf.type,
      writer: leaf.writer,
      leafHash: hexOf(event.leafHash),
      dataSha256: leaf.data_sha256,
      proof: `/v1/events/${leaf.id}/proof`,
      dataErased: event.data === null ? true : undefined,
    }),
    ...thing(actor, 'Actor', { name: leaf.actor }),
  ]
}

/**
 * What an event tells, as provenance in a graph of its own. Pure: the same event of the same ledger gives the same
 * graph for ever, as long as its data is not erased; `ledger` is what stands in the name of the ledger's own stream.
 * Names, digests, outcomes and times only: nothing that people wrote leaves the payload.
 *
 * @throws EvidenceError EVENT_INVALID, EVENT_VERSION_UNKNOWN for data that its contract does not read.
 */
export function lineageOf(event: RecordedEvent, ledger: string): EventGraph {
  const { leaf } = event
  const names = namesOf(ledger, leaf.project)
  const dash = leaf.stream.indexOf('-')
  const telling: Telling = {
    names,
    event,
    subject: leaf.stream.slice(dash + 1),
    actor: names.actor(leaf.actor),
  }
  const tale = taleOf(event, telling)
  const name = names.event(leaf.id)
  return { name, quads: inGraph(name, [...leafTriples(telling, tale), ...tale.triples]) }
}

/** A graph is a set: what is told twice stands there once. */
function inGraph(graph: string, triples: readonly Triple[]): Quad[] {
  const seen = new Map<string, Quad>()
  for (const { subject, predicate, object } of triples) {
    const [value, datatype] =
      typeof object === 'string' ? [object, ''] : [object.value, object.datatype]
    const key = `${subject} ${predicate} ${datatype} ${value}`
    if (!seen.has(key)) seen.set(key, { subject, predicate, object, graph })
  }
  return [...seen.values()]
}
