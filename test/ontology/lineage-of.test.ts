import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { Parser } from 'n3'
import * as rdfCanonize from 'rdf-canonize'
import t from 'tap'
import { catalog } from '../../src/contracts/catalog.js'
import { assetObserved } from '../../src/contracts/asset.js'
import { evidenceRecorded } from '../../src/contracts/evidence.js'
import { keyCreated } from '../../src/contracts/ledger.js'
import { proposalCommented, proposalSubmitted } from '../../src/contracts/proposal.js'
import { openShapes } from '../../src/ontology/adapters/shacl.js'
import { quadOf } from '../../src/ontology/adapters/rdf-terms.js'
import { eventClassOf, lineageOf, mappedTypes } from '../../src/ontology/lineage-of.js'
import { namesOf, readName } from '../../src/ontology/names.js'
import { canonicalQuads, graphDigest, isIri, type Quad } from '../../src/ontology/rdf.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { examples, exampleId, graphLedger, recorded } from '../support/graphs.js'
import { repository } from '../support/product.js'

const { sha256 } = nodeCrypto
const read = (path: string) => readFileSync(join(repository, path), 'utf8')

/** The canonical form by RDFC-1.0, as an implementation that is not ours makes it. */
const rdfc = (quads: readonly Quad[]): Promise<string> =>
  rdfCanonize.canonize(quads.map(quadOf), { algorithm: 'RDFC-1.0' })

t.test('every contract of the catalogue becomes statements, and nothing else does', async (t) => {
  t.strictSame([...mappedTypes].sort(), catalog.map(({ type }) => type).sort())
  const classes = new Set(
    new Parser().parse(read('schemas/ontology/events.ttl')).map(({ subject }) => subject.value),
  )
  for (const { type } of catalog) t.ok(classes.has(eventClassOf(type)), `${type} has its class`)
})

t.test('the graph of every example fits the shapes and keeps its digest', async (t) => {
  const shapes = await openShapes()
  const vectors = JSON.parse(read('schemas/vectors/lineage.json')) as {
    graphs: { type: string; version: string; sha256: string; nquads: string }[]
  }
  for (const { contract, event } of examples()) {
    const graph = lineageOf(event, graphLedger)
    await t.resolves(shapes.check(graph), `${contract.type} fits`)
    t.ok(
      graph.quads.every(({ object }) => typeof object !== 'string' || isIri(object)),
      `${contract.type} has IRIs alone`,
    )
    const vector = vectors.graphs.find(
      ({ type, version }) => type === contract.type && version === contract.version,
    )
    const made = {
      type: contract.type,
      version: contract.version,
      sha256: graphDigest(sha256, graph.quads),
      nquads: canonicalQuads(graph.quads),
    }
    t.strictSame(made, vector, `${contract.type}: its vector in schemas/vectors/lineage.json`)
    t.equal(await rdfc(graph.quads), made.nquads, `${contract.type}: RDFC-1.0 says the same`)
  }
})

t.test('whatever stands in data, canonical form and digest are those of RDFC-1.0', async (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(
      fc.record({ media: text.filter((one) => one !== ''), actor: text, source: text }),
      async ({ media, actor }) => {
        const data = { ...evidenceRecorded.example, media_type: media.toWellFormed() }
        const event = recorded(evidenceRecorded, { data, actor: `x${actor.toWellFormed()}` })
        const { quads } = lineageOf(event, graphLedger)
        t.equal(canonicalQuads(quads), await rdfc(quads))
        const again = new Parser({ format: 'N-Quads' }).parse(canonicalQuads(quads))
        t.equal(again.length, new Set(canonicalQuads(quads).trimEnd().split('\n')).size)
      },
    ),
    { numRuns: 60 },
  )
})

t.test('the order in which statements are told changes nothing', async (t) => {
  const { quads } = lineageOf(recorded(proposalSubmitted), graphLedger)
  fc.assert(
    fc.property(fc.shuffledSubarray([...quads], { minLength: quads.length }), (shuffled) => {
      t.equal(canonicalQuads([...shuffled, ...shuffled.slice(0, 3)]), canonicalQuads(quads))
    }),
    { numRuns: 30 },
  )
})

t.test('names say what they name, whatever the id holds', async (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
      (id, step) => {
        const names = namesOf(graphLedger, 'default')
        for (const [iri, kind, parts] of [
          [names.step(id, step), 'step', [id, step]],
          [names.state(id, step), 'state', [id, step]],
          [names.actor(id), 'actor', [id]],
        ] as const) {
          t.ok(isIri(iri), iri)
          t.strictSame(readName(names, iri), {
            kind,
            parts: parts.map((part) => part.toWellFormed()),
          })
        }
        t.equal(readName(namesOf(graphLedger, 'other'), names.actor(id)), undefined)
      },
    ),
    { numRuns: 60 },
  )
})

t.test('nothing that people wrote leaves the payload', async (t) => {
  const secret = 'Zq7-secret-words'
  const said = recorded(proposalCommented, { data: { text: secret } })
  const submitted = recorded(proposalSubmitted, {
    data: {
      ...(proposalSubmitted.example as object),
      reason: secret,
      ticket: secret,
      spec: { note: secret },
    },
  })
  const described = recorded(evidenceRecorded, {
    data: {
      ...evidenceRecorded.example,
      description: secret,
      location: secret,
      attributes: { a: secret },
    },
  })
  for (const event of [said, submitted, described])
    t.notMatch(canonicalQuads(lineageOf(event, graphLedger).quads), secret)
})

t.test('an erased event keeps what its leaf says and tells nothing else', async (t) => {
  const shapes = await openShapes()
  const graph = lineageOf(recorded(assetObserved, { erased: true }), graphLedger)
  await t.resolves(shapes.check(graph))
  const text = canonicalQuads(graph.quads)
  t.match(text, 'ontology#dataErased')
  t.notMatch(text, 'AssetState')
})

t.test('events of clients and of contracts long past are told as well', async (t) => {
  const shapes = await openShapes()
  const foreign = recorded({ ...evidenceRecorded, type: 'order.placed', writer: 'client' })
  const cause = { causation_id: '7a2d2e1f-3d4c-5b68-9a8f-4b3c0d5e6f70' }
  const caused = recorded(evidenceRecorded, { metadata: cause })
  const { follows: _, ...before } = keyCreated.example
  const past = recorded(keyCreated, { version: '1', data: before })
  for (const event of [foreign, caused, past])
    await t.resolves(shapes.check(lineageOf(event, graphLedger)), event.leaf.type)
  t.match(
    canonicalQuads(lineageOf(caused, graphLedger).quads),
    `wasDerivedFrom> <urn:fractalops:${graphLedger}:default:event:${cause.causation_id}>`,
  )
})

t.test('a graph that does not fit its shapes is refused by name', async (t) => {
  const shapes = await openShapes()
  const { name, quads } = lineageOf(recorded(assetObserved), graphLedger)
  const spoilt: readonly (readonly Quad[])[] = [
    quads.filter(({ predicate }) => !predicate.endsWith('#position')),
    quads.filter(({ predicate }) => !predicate.endsWith('#specializationOf')),
    quads.map((quad) =>
      quad.predicate.endsWith('#leafHash')
        ? { ...quad, object: { ...(quad.object as { datatype: string }), value: 'no hash' } }
        : quad,
    ),
    [...quads, { subject: name, predicate: 'https://example.org/more', object: name, graph: name }],
  ]
  await t.resolves(shapes.check({ name, quads }))
  for (const wrong of spoilt)
    await t.rejects(shapes.check({ name, quads: wrong }), {
      code: 'GRAPH_INVALID',
      message: exampleId,
    })
})
