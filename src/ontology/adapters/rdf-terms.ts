import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { StreamParser } from 'n3'
import rdf from 'rdf-ext'
import type { Quad } from '../rdf.js'

const ontologyFolder = join(import.meta.dirname, '..', '..', '..', 'schemas', 'ontology')

export const ontologyFile = (name: string): string => join(ontologyFolder, name)

/** Terms of RDF/JS for a statement of ours. */
export const quadOf = ({ subject, predicate, object, graph }: Quad) =>
  rdf.quad(
    rdf.namedNode(subject),
    rdf.namedNode(predicate),
    typeof object === 'string'
      ? rdf.namedNode(object)
      : rdf.literal(object.value, rdf.namedNode(object.datatype)),
    graph === '' ? rdf.defaultGraph() : rdf.namedNode(graph),
  )

/** The statements as one graph: shapes judge graphs, not data sets. */
export const graphOf = (quads: readonly Quad[]) =>
  rdf.dataset(
    quads.map(quadOf).map(({ subject, predicate, object }) => rdf.quad(subject, predicate, object)),
  )

/** A Turtle file of the ontology, read as a stream. */
export const readOntology = (name: string) =>
  rdf.dataset().import(createReadStream(ontologyFile(name)).pipe(new StreamParser()))
