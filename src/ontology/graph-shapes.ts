import type { EventGraph } from './lineage-of.js'

/**
 * Judges graphs before they leave or are loaded anywhere.
 *
 * A graph that does not fit its shapes, and one that cannot be judged, is refused: nothing that the ontology does not
 * know is handed on.
 */
export interface GraphShapes {
  /** @throws EvidenceError GRAPH_INVALID naming the event and what is wrong with its graph. */
  check(graph: EventGraph): Promise<void>
}
