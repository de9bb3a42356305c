import SHACLValidator from 'rdf-validate-shacl'
import { EvidenceError } from '../../contracts/errors.js'
import type { GraphShapes } from '../graph-shapes.js'
import type { EventGraph } from '../lineage-of.js'
import { graphOf, readOntology } from './rdf-terms.js'

const complaintsMax = 5

/** The shapes of `schemas/ontology/shapes.ttl`, read once. */
export async function openShapes(): Promise<GraphShapes> {
  const validator = new SHACLValidator(await readOntology('shapes.ttl'))
  return {
    async check(graph: EventGraph) {
      const complaints = await judge(validator, graph)
      if (complaints.length === 0) return
      throw new EvidenceError(
        'GRAPH_INVALID',
        `the graph ${graph.name} does not fit its shapes: ${complaints.join('; ')}`,
        { details: { graph: graph.name } },
      )
    },
  }
}

async function judge(validator: SHACLValidator, graph: EventGraph): Promise<string[]> {
  try {
    const report = await validator.validate(graphOf(graph.quads))
    if (report.conforms) return []
    const found = report.results.map(({ focusNode, path, message }) => {
      const where = [focusNode?.value, path && 'value' in path ? path.value : undefined]
      return `${where.filter(Boolean).join(' ')}: ${message.map(({ value }) => value).join(', ')}`
    })
    return found.length === 0 ? ['it does not conform'] : found.slice(0, complaintsMax)
  } catch (cause) {
    // What cannot be judged is not handed on either.
    throw new EvidenceError('GRAPH_INVALID', `the graph ${graph.name} cannot be judged`, { cause })
  }
}
