import oxigraph from 'oxigraph'
import { EvidenceError } from '../../contracts/errors.js'
import type { RecordedEvent } from '../../ledger/event-store.js'
import { answerBytesMax, type AnswerType, rowsMax } from '../graph-queries.js'
import { lineageOf } from '../lineage-of.js'
import { canonicalQuads } from '../rdf.js'

const nquads = 'application/n-quads'

/**
 * Graphs of events of one project, each by its name, and all together as the default graph: a statement that many
 * events tell stands there once. Nothing is taken out again, because that costs more than to begin anew.
 */
export interface GraphStore {
  load(ledger: string, events: readonly RecordedEvent[]): void
  /** @throws EvidenceError SPARQL_INVALID, GRAPH_QUERY_TOO_COSTLY. */
  ask(query: string, type: AnswerType): string
}

export function createGraphStore(): GraphStore {
  const store = new oxigraph.Store()
  return {
    load(ledger, events) {
      const texts: string[] = []
      for (const event of events) {
        const graph = graphOf(event, ledger)
        if (graph === undefined) continue
        texts.push(canonicalQuads(graph.quads))
        texts.push(canonicalQuads(graph.quads.map((one) => ({ ...one, graph: '' }))))
      }
      store.load(texts.join(''), { format: nquads, lenient: true })
    },
    ask(query, type) {
      let answer: unknown
      try {
        answer = store.query(query, { results_format: type })
      } catch (cause) {
        const detail = cause instanceof Error ? cause.message : String(cause)
        throw new EvidenceError('SPARQL_INVALID', detail.slice(0, 500), { cause })
      }
      // With a format, the engine answers text to every form of query.
      if (typeof answer !== 'string') throw new TypeError('the engine answered no text')
      checkSize(answer, type)
      return answer
    },
  }
}

/** An event that its contract does not read tells nothing here; everything else goes on. */
function graphOf(event: RecordedEvent, ledger: string) {
  try {
    return lineageOf(event, ledger)
  } catch (error) {
    if (error instanceof EvidenceError) return undefined
    throw error
  }
}

function checkSize(text: string, type: AnswerType): void {
  const tooMuch = (detail: string) => new EvidenceError('GRAPH_QUERY_TOO_COSTLY', detail)
  if (text.length > answerBytesMax || Buffer.byteLength(text) > answerBytesMax)
    throw tooMuch(`the answer has more than ${answerBytesMax} bytes`)
  if (rowsOf(text, type) > rowsMax) throw tooMuch(`the answer has more than ${rowsMax} rows`)
}

function rowsOf(text: string, type: AnswerType): number {
  if (type === 'application/sparql-results+json') {
    // The engine wrote it: it has the form of its specification.
    const { results } = JSON.parse(text) as { results?: { bindings: unknown[] } }
    return results?.bindings.length ?? 1
  }
  // Line ends within quotes are counted too: the bound is met a little early then, never late.
  return text.split('\n').length - 2
}
