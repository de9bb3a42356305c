import { Writer } from 'n3'
import rdf from 'rdf-ext'
import type { GraphText } from '../graph-text.js'
import { prefixes } from '../terms.js'
import { graphOf, quadOf } from './rdf-terms.js'

/** Turtle and TriG by N3.js. */
export const graphText: GraphText = {
  turtle: (quads) => written('text/turtle', graphOf(quads)),
  trig: (quads) => written('application/trig', rdf.dataset(quads.map(quadOf))),
}

const written = (format: string, quads: Iterable<ReturnType<typeof quadOf>>): Promise<string> =>
  new Promise((resolve, reject) => {
    const writer = new Writer({ format, prefixes })
    writer.addQuads([...quads])
    writer.end((error: Error | null, text: string) => {
      if (error === null || error === undefined) resolve(text)
      else reject(error)
    })
  })
