import type { Sha256 } from '../ledger/merkle.js'
import { hexOf, utf8 } from '../ledger/encoding.js'
import { classes, type ClassName, prefixes, properties, type PropertyName } from './terms.js'

/** A value with its datatype. The ledger tells of no texts in a language. */
export interface Value {
  readonly value: string
  readonly datatype: string
}

/**
 * One statement in a named graph. Subjects, predicates and graphs are IRIs, an object that is a text is an IRI
 * too: there are no blank nodes, so that a graph has one canonical form which is cheap to make.
 */
export interface Quad {
  readonly subject: string
  readonly predicate: string
  readonly object: string | Value
  /** Empty for the default graph, which only answers have. */
  readonly graph: string
}

export type Triple = Omit<Quad, 'graph'>

type Given = string | number | boolean

/** What a thing is told to be, by the names of the ontology; absent members are not told. */
export type Told = Partial<Record<PropertyName, Given | readonly Given[] | undefined>>

export const typeOf = `${prefixes.rdf}type`

/** IRIs that are written as they are: everything else in a name was percent-encoded before. */
const iriText = /^[a-z][a-z0-9+.-]*:[^\s<>"{}|\\^`\p{Cc}]*$/u

export const isIri = (text: string): boolean => iriText.test(text)

/** The statements that a thing is of a class, and what is told of it. */
export const thing = (subject: string, name: ClassName, told: Told = {}): Triple[] => [
  ...classes[name].map((object) => ({ subject, predicate: typeOf, object })),
  ...about(subject, told),
]

/** What is told of a thing whose class is told elsewhere. */
export function about(subject: string, told: Told): Triple[] {
  const triples: Triple[] = []
  for (const [name, given] of Object.entries(told)) {
    // The keys of `Told` are names of properties.
    const { iri: predicate, range } = properties[name as PropertyName]
    const all: readonly Given[] =
      given === undefined ? [] : typeof given === 'object' ? given : [given]
    for (const one of all) {
      const value = String(one).toWellFormed()
      triples.push({
        subject,
        predicate,
        object: range === 'iri' ? value : { value, datatype: range },
      })
    }
  }
  return triples
}

const escapes: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
}
const mustEscape = /["\\\p{Cc}]/gu
const escaped = (text: string): string =>
  text.replace(mustEscape, (one) => {
    const unit = one.charCodeAt(0)
    // Canonical N-Quads: C0 controls and DEL are escaped, C1 controls are not.
    if (unit > 0x7f) return one
    return escapes[one] ?? `\\u${unit.toString(16).toUpperCase().padStart(4, '0')}`
  })

const plainText = `${prefixes.xsd}string`
const objectText = (object: Quad['object']): string => {
  if (typeof object === 'string') return `<${object}>`
  const text = `"${escaped(object.value)}"`
  return object.datatype === plainText ? text : `${text}^^<${object.datatype}>`
}

const lineOf = ({ subject, predicate, object, graph }: Quad): string =>
  `<${subject}> <${predicate}> ${objectText(object)}${graph === '' ? '' : ` <${graph}>`} .\n`

/** By code points, which UTF-16 units are not beyond the basic plane: as bytes in UTF-8 are. */
const byCodePoint = (a: string, b: string): number => {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at += 1) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)]
    if (x === y) continue
    const [xHigh, yHigh] = [x >= 0xd800 && x < 0xe000, y >= 0xd800 && y < 0xe000]
    return xHigh === yHigh ? x - y : xHigh ? 1 : -1
  }
  return a.length - b.length
}

/** Canonical N-Quads (RDFC-1.0): each statement once, in order. Without blank nodes that is all of it. */
export const canonicalQuads = (quads: readonly Quad[]): string =>
  [...new Set(quads.map(lineOf))].sort(byCodePoint).join('')

/** The RDFC-1.0 digest of a graph, in hex. */
export const graphDigest = (sha256: Sha256, quads: readonly Quad[]): string =>
  hexOf(sha256(utf8(canonicalQuads(quads))))
