/** Forms of an answer: tables for SELECT and ASK, graphs for CONSTRUCT and DESCRIBE. */
export const tableTypes = ['application/sparql-results+json', 'text/csv'] as const
export const graphTypes = ['text/turtle', 'application/n-triples'] as const
export type AnswerType = (typeof tableTypes)[number] | (typeof graphTypes)[number]

/** The newest positions of the ledger that the store of graphs holds of a project. */
export const windowEventsMax = 10_000
/** It grows to this many windows, about 225 MB, and is then made anew with one. */
export const heldFactorMax = 1.5
/** Projects whose graphs are held at a time; the one that was asked about least recently goes. */
export const projectsMax = 2
export const rowsMax = 10_000
export const answerBytesMax = 8 * 1024 * 1024
export const queryMs = 5_000
/** What the process may grow by while one query is answered. */
export const queryMemoryBytesMax = 512 * 1024 * 1024
/** Questions that wait for their turn. */
export const waitingMax = 16

export interface GraphAnswer {
  readonly text: string
  /** Every event of the window below this position was in the store. */
  readonly position: number
  /** Where the window begins. */
  readonly from: number
}

/** SPARQL over the graphs of the newest events of one project. Holds nothing that the ledger does not say. */
export interface GraphQueries {
  /**
   * `query` was checked. What was on the ledger when it was asked is in the answer.
   *
   * @throws EvidenceError SPARQL_INVALID; GRAPH_QUERY_TOO_COSTLY for one that takes too long, too much memory or
   * answers too much; GRAPH_UNAVAILABLE while the store is behind, or when too many wait.
   */
  ask(project: string, query: string, type: AnswerType): Promise<GraphAnswer>
  close(): Promise<void>
}
