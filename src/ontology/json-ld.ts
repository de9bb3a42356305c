import type { Quad, Value } from './rdf.js'
import { typeOf } from './rdf.js'
import { classes, prefixes, properties } from './terms.js'

const short = (iri: string): string => {
  for (const [prefix, base] of Object.entries(prefixes))
    if (iri.startsWith(base)) return `${prefix}:${iri.slice(base.length)}`
  return iri
}
const textType = `${prefixes.xsd}string`

const memberFor = (name: string, iri: string, range: string): [string, unknown] =>
  range === 'iri'
    ? [name, { '@id': short(iri), '@type': '@id' }]
    : [name, range === textType ? short(iri) : { '@id': short(iri), '@type': short(range) }]

/** The JSON-LD context: every class and property of the ontology by its name. It stands in every document: nobody fetches it. */
export const context: Readonly<Record<string, unknown>> = {
  '@version': 1.1,
  ...prefixes,
  ...Object.fromEntries(Object.entries(classes).map(([name, [iri]]) => [name, short(iri)])),
  ...Object.fromEntries(
    Object.entries(properties).map(([name, { iri, range }]) => memberFor(name, iri, range)),
  ),
}

const propertyNames = new Map<string, string>(
  Object.entries(properties).map(([name, { iri }]) => [iri, name]),
)
const classNames = new Map<string, string>(
  Object.entries(classes).map(([name, [iri]]) => [iri, name]),
)

type Member =
  string | { readonly '@id': string } | { readonly '@value': string; readonly '@type': string }

/** A value under a property whose range the context knows stands there as it is. */
function memberOf(predicate: string, object: string | Value): Member {
  if (propertyNames.has(predicate)) return typeof object === 'string' ? object : object.value
  if (typeof object === 'string') return { '@id': object }
  return { '@value': object.value, '@type': object.datatype }
}

function nodesOf(quads: readonly Quad[]): object[] {
  const nodes = new Map<string, Map<string, Member[]>>()
  for (const { subject, predicate, object } of quads) {
    const node = nodes.get(subject) ?? new Map<string, Member[]>()
    nodes.set(subject, node)
    const isType = predicate === typeOf && typeof object === 'string'
    const key = isType ? '@type' : (propertyNames.get(predicate) ?? predicate)
    const member = isType ? (classNames.get(object) ?? short(object)) : memberOf(predicate, object)
    const members = node.get(key)
    if (members === undefined) node.set(key, [member])
    else members.push(member)
  }
  return [...nodes].map(([subject, node]) => ({
    '@id': subject,
    ...Object.fromEntries(
      [...node].map(([key, members]) => [key, members.length === 1 ? members[0] : members]),
    ),
  }))
}

/** A JSON-LD document of these statements, one `@graph` per named graph. */
export function jsonLdOf(quads: readonly Quad[]): object {
  const graphs = new Map<string, Quad[]>()
  for (const quad of quads) {
    const own = graphs.get(quad.graph)
    if (own === undefined) graphs.set(quad.graph, [quad])
    else own.push(quad)
  }
  const standing = nodesOf(graphs.get('') ?? [])
  const named = [...graphs]
    .filter(([graph]) => graph !== '')
    .map(([graph, own]) => ({ '@id': graph, '@graph': nodesOf(own) }))
  return { '@context': context, '@graph': [...standing, ...named] }
}
