import * as z from 'zod'
import { Decimal, Sha256Hex, Timestamp, Uuid } from './identifiers.js'

export const lineageDirections = ['up', 'down', 'both'] as const
export const LineageDirection = z.enum(lineageDirections)
export type LineageDirection = z.infer<typeof LineageDirection>

/** Something that lineage leads to: a class of docs/ontology.md, and how far it is from what was asked for. */
export const LineageNode = z.object({
  /** Its IRI. */
  id: z.string(),
  class: z.string(),
  /** What a person would call it. */
  label: z.string(),
  /** Steps from what was asked for; negative upstream, positive downstream. */
  distance: z.int(),
})
export type LineageNode = z.infer<typeof LineageNode>

/** One step: `from` came to be from `to`, as one event tells. */
export const LineageEdge = z.object({
  from: z.string(),
  /** A property of docs/ontology.md. */
  relation: z.string(),
  to: z.string(),
  event_id: Uuid,
  position: Decimal,
  /** Where the proof of the event is. */
  proof: z.string(),
})
export type LineageEdge = z.infer<typeof LineageEdge>

/** An event that tells of an edge. */
export const LineageEvent = z.object({
  event_id: Uuid,
  position: Decimal,
  type: z.string(),
  stream: z.string(),
  time: Timestamp,
  actor: z.string(),
  leaf_hash: Sha256Hex,
  /** RDFC-1.0 digest of its graph, which answers in RDF hold whole. */
  graph_sha256: Sha256Hex,
  proof: z.string(),
})

export const LineageView = z.object({
  /** What was asked for. */
  roots: z.array(z.string()),
  direction: LineageDirection,
  depth: z.int(),
  nodes: z.array(LineageNode),
  edges: z.array(LineageEdge),
  events: z.array(LineageEvent),
  /** Why something may be missing; empty when the answer is whole within its depth. */
  left_out: z.array(z.string()),
  /** Every event below this position was looked at. */
  position: Decimal,
})
export type LineageView = z.infer<typeof LineageView>
