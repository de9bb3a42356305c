// What is made of the ontology: the terms that code uses, the JSON-LD context, the page, and the classes of events.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Parser } from 'n3'
import { format } from 'prettier'
import { repository } from './built.mjs'

const folder = 'schemas/ontology'
const namespace = 'https://fractalops.local/ontology#'
const document = namespace.slice(0, -1)
const prefixes = {
  l: namespace,
  owl: 'http://www.w3.org/2002/07/owl#',
  prov: 'http://www.w3.org/ns/prov#',
  rdf: 'http://www.w3.org/1999/02/22-rdf-syntax-ns#',
  rdfs: 'http://www.w3.org/2000/01/rdf-schema#',
  skos: 'http://www.w3.org/2004/02/skos/core#',
  xsd: 'http://www.w3.org/2001/XMLSchema#',
}
/** Those that the names of our own graphs begin with. */
const used = ['l', 'prov', 'rdf', 'xsd']
const iri = (short) => short.replace(/^(\w+):/, (_, prefix) => prefixes[prefix])
const short = (full) => {
  const [prefix, base] = Object.entries(prefixes).find(([, one]) => full.startsWith(one)) ?? []
  return prefix === undefined ? full : `${prefix}:${full.slice(base.length)}`
}
const nameOf = (full) => short(full).replace(/^\w+:/, '')

/** The class of the events of a type: `asset.mutation-failed` is `l:AssetMutationFailed`. */
const eventClassOf = (type) =>
  type
    .split(/[.-]/)
    .map((word) => word[0].toUpperCase() + word.slice(1))
    .join('')

/** The statements of the hand-written files, by subject. */
function readVocabulary() {
  const subjects = new Map()
  for (const file of ['ledger.ttl', 'borrowed.ttl']) {
    const quads = new Parser().parse(readFileSync(join(repository, folder, file), 'utf8'))
    for (const { subject, predicate, object } of quads) {
      const about = subjects.get(subject.value) ?? { iri: subject.value }
      const key = short(predicate.value)
      about[key] = [...(about[key] ?? []), object.value]
      subjects.set(subject.value, about)
    }
  }
  return [...subjects.values()].filter((one) => one.iri !== document)
}

const isA = (kind) => (one) => one['rdf:type']?.includes(iri(`owl:${kind}`)) ?? false
const one = (values) => values?.[0] ?? ''
const byName = (a, b) => (nameOf(a.iri) < nameOf(b.iri) ? -1 : 1)

/** Classes and properties, each with what code must know of it. */
function termsOf(vocabulary) {
  const classes = vocabulary.filter(isA('Class')).sort(byName)
  const links = vocabulary.filter(isA('ObjectProperty'))
  const values = vocabulary.filter(isA('DatatypeProperty'))
  return {
    classes: classes.map((about) => ({
      name: nameOf(about.iri),
      // The classes of PROV-O that it is one of: readers who know only those find it too.
      iris: [about.iri, ...(about['rdfs:subClassOf'] ?? [])],
      about,
    })),
    properties: [...links, ...values].sort(byName).map((about) => ({
      name: nameOf(about.iri),
      iri: about.iri,
      range: isA('ObjectProperty')(about) ? 'iri' : one(about['rdfs:range']),
      leadsBack: one(about['l:leadsBack']) === 'true',
      about,
    })),
  }
}

async function termsFile({ classes, properties }, version) {
  const record = (entries) => `{${entries.map(([name, value]) => `${name}: ${value},`).join('\n')}}`
  const text = JSON.stringify
  const term = (full) => `\`${short(full).replace(/^(\w+):/, '${$1}')}\``
  const source = `// Generated from schemas/ontology by \`npm run codegen\`; do not edit.

export const ontologyVersion = ${text(version)}

${used.map((name) => `const ${name} = ${text(prefixes[name])}`).join('\n')}
export const prefixes = { ${used.join(', ')} } as const

/** IRIs of each class, its own first. */
export const classes = ${record(classes.map(({ name, iris }) => [name, `[${iris.map(term).join(', ')}]`]))} as const

/** Properties: \`range\` is "iri" for links, else the datatype of the values; \`leadsBack\` says that lineage follows it. */
export const properties = ${record(
    properties.map(({ name, iri, range, leadsBack }) => [
      name,
      `{ iri: ${term(iri)}, range: ${range === 'iri' ? "'iri'" : term(range)}, leadsBack: ${leadsBack} }`,
    ]),
  )} as const

export type ClassName = keyof typeof classes
export type PropertyName = keyof typeof properties
`
  return format(source, {
    parser: 'typescript',
    semi: false,
    singleQuote: true,
    printWidth: 100,
  })
}

const eventsFile = (catalog) => {
  const lines = [
    '# Generated from src/contracts by `npm run codegen`; do not edit.',
    '# One class of events per contract.',
    ...['l', 'owl', 'rdfs', 'skos'].map((name) => `@prefix ${name}: <${prefixes[name]}> .`),
  ]
  for (const { type, summary } of catalog) {
    lines.push(
      '',
      `l:${eventClassOf(type)} a owl:Class ; rdfs:subClassOf l:Event ; l:describes ${JSON.stringify(type)} ;`,
      `    skos:prefLabel ${JSON.stringify(type)} ;`,
      `    skos:definition ${JSON.stringify(`${summary}.`)}@en .`,
    )
  }
  return `${lines.join('\n')}\n`
}

const cell = (text) => text.replaceAll('|', '\\|')
const table = (head, rows) => [
  `| ${head.join(' | ')} |`,
  `|${head.map(() => '---|').join('')}`,
  ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`),
]
const says = (about) => one(about['skos:definition']) || one(about['skos:scopeNote'])

function page({ classes, properties }, catalog, version) {
  const ours = classes.filter(({ about }) => about.iri.startsWith(namespace))
  const parents = (about) =>
    (about['rdfs:subClassOf'] ?? []).map((it) => `\`${short(it)}\``).join(', ')
  const links = properties.filter(({ range }) => range === 'iri')
  const values = properties.filter(({ range }) => range !== 'iri')
  return `${[
    '# Ontology',
    '',
    'Generated from `schemas/ontology` and `src/contracts` by `npm run codegen`; do not edit. How lineage is asked for',
    'stands in [lineage](lineage.md).',
    '',
    `Version ${version}. \`l:\` stands for \`${namespace}\`, \`prov:\` for \`${prefixes.prov}\`. IRIs never change. Every thing has an IRI;`,
    'there are no blank nodes. Graphs hold names, digests, outcomes and times; what people wrote stays in the payload of its event,',
    'where erasure reaches it.',
    '',
    '## Classes',
    '',
    ...table(
      ['class', 'is a', 'what it is'],
      ours.map(({ name, about }) => [`\`l:${name}\``, parents(about), says(about)]),
    ),
    '',
    '## Links',
    '',
    'Lineage follows those that lead back: from what came to be to what it came from.',
    '',
    ...table(
      ['property', 'leads back', 'what it says'],
      links.map(({ iri, leadsBack, about }) => [
        `\`${short(iri)}\``,
        leadsBack ? 'yes' : '',
        says(about),
      ]),
    ),
    '',
    '## Values',
    '',
    ...table(
      ['property', 'type', 'what it says'],
      values.map(({ iri, range, about }) => [
        `\`${short(iri)}\``,
        `\`${short(range)}\``,
        says(about),
      ]),
    ),
    '',
    '## Events',
    '',
    ...table(
      ['class', 'event type', 'what it says'],
      catalog.map(({ type, summary }) => [`\`l:${eventClassOf(type)}\``, `\`${type}\``, summary]),
    ),
  ].join('\n')}\n`
}

const versionOf = () => {
  const text = readFileSync(join(repository, folder, 'ledger.ttl'), 'utf8')
  const [, version] = /owl:versionInfo "([^"]+)"/.exec(text) ?? []
  if (version === undefined) throw new Error('the ontology names no version')
  return version
}

/** The terms alone: they need no build, because the build needs them. */
export const generatedTerms = () => termsFile(termsOf(readVocabulary()), versionOf())

/** Every file that is made of the ontology and the contracts: path to text. */
export async function generateOntology(catalog, context) {
  const terms = termsOf(readVocabulary())
  const version = versionOf()
  return [
    ['src/ontology/terms.ts', await termsFile(terms, version)],
    [`${folder}/context.jsonld`, `${JSON.stringify({ '@context': context }, null, 2)}\n`],
    [`${folder}/events.ttl`, eventsFile(catalog)],
    ['docs/ontology.md', page(terms, catalog, version)],
  ]
}
