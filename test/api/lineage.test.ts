import { Readable } from 'node:stream'
import { Parser } from 'n3'
import rdf from 'rdf-ext'
import * as rdfCanonize from 'rdf-canonize'
import t from 'tap'
import { hexOf, utf8 } from '../../src/ledger/encoding.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { draft, request } from '../support/ledger.js'
import { ask, openStory, provenLinks, short } from '../support/lineage.js'

const { sha256 } = nodeCrypto

t.test('what led to the state of an asset is told step by step, each with its proof', async (t) => {
  const { api, first, second, registration, refused } = await openStory(t)

  const { status, body, headers } = await ask(api, 'web-01', 'depth=32')

  t.equal(status, 200)
  t.equal(headers.get('fractalops-position'), body.position)
  t.strictSame(body.roots.map(short), ['state web-01/3'])
  t.strictSame(body.left_out, [])
  const ids = body.nodes.map(({ id }) => short(id))
  for (const expected of [
    `mutation web-01/${second.mutation}`,
    `mutation web-01/${first.mutation}`,
    'state web-01/0',
    'registration web-01',
    `proposal ${second.id}`,
    `proposal ${registration.id}`,
    `decision ${second.decision}`,
    `approval ${first.approval}`,
    `authorisation ${second.id}`,
    `clearance ${second.id}`,
    `run ${second.id}`,
    'actor bob',
    'actor ada',
    `bundle ${'b'.repeat(64)}`,
    'actor policy-admin',
  ])
    t.ok(ids.includes(expected), expected)
  t.notOk(
    ids.some((id) => id.includes(refused) || id.includes('db-01')),
    'and nothing else',
  )
  t.equal(
    body.nodes.find(({ id }) => short(id) === `approval ${first.approval}`)?.class,
    'Approval',
  )
  const told = new Map<string, string[]>()
  for (const { proof, event_id: id, position } of body.edges) {
    const event = body.events.find((one) => one.event_id === id)
    t.equal(event?.position, position)
    if (!told.has(proof)) told.set(proof, await provenLinks(api, proof))
  }
  for (const { from, relation, to, proof } of body.edges)
    if (!told.get(proof)?.includes([from, relation, to].join(' ')))
      t.fail(`${from} ${relation} ${to}`)
  t.equal(told.size, body.events.length, 'every event was proven')
})

t.test('what came of something is told as well, decisions without an effect too', async (t) => {
  const { api, first, refused, second } = await openStory(t)

  const ofProposal = await ask(api, first.id, 'direction=down&depth=32')
  const ofState = await ask(api, 'web-01', 'direction=down&depth=1')
  const both = await ask(api, second.event, 'direction=both&depth=1')

  const reached = ofProposal.body.nodes.map(({ id }) => short(id))
  for (const expected of ['state web-01/1', 'state web-01/3', `outcome ${second.id}`])
    t.ok(reached.includes(expected), expected)
  t.ok(
    ofState.body.nodes.some(({ id }) => short(id) === `proposal ${refused}`),
    'a proposal that looked at the state and never ran',
  )
  t.strictSame(new Set(both.body.nodes.map(({ distance }) => distance)), new Set([0, -1, 1]))
})

t.test('every format says the same, and graphs keep their digests', async (t) => {
  const { api, second } = await openStory(t)
  const as = (accept: string) =>
    api.send('GET', `/v1/lineage/${second.event}?depth=3`, {
      token: api.admin,
      headers: { accept },
    })
  const canonical = (quads: readonly object[]) =>
    rdfCanonize.canonize(quads, { algorithm: 'RDFC-1.0' })

  const json = await ask(api, second.event, 'depth=3')
  const nquads = (await as('application/n-quads')).text
  t.equal(await canonical(new Parser().parse(nquads)), nquads, 'N-Quads are canonical')

  const ld = await as('application/ld+json, application/json;q=0.5')
  t.equal(ld.headers.get('content-type'), 'application/ld+json; charset=utf-8')
  const parser = rdf.formats.parsers.get('application/ld+json')
  const read = await rdf.dataset().import(parser!.import(Readable.from([ld.text])))
  t.equal(await canonical([...read]), nquads, 'JSON-LD')
  t.equal(await canonical(new Parser().parse((await as('application/trig')).text)), nquads, 'TriG')
  const turtle = (await as('text/turtle')).text
  const triples = new Set(
    new Parser()
      .parse(nquads)
      .map(({ subject, predicate, object }) => JSON.stringify([subject, predicate, object])),
  )
  t.equal(new Parser().parse(turtle).length, triples.size, 'Turtle has every statement once')
  t.match(turtle, 'l:toldBy')

  const all = new Parser().parse(nquads)
  for (const { event_id: id, graph_sha256: digest } of json.body.events) {
    const graph = all.filter((quad) => quad.graph.value.endsWith(`:event:${id}`))
    t.equal(hexOf(sha256(utf8(await canonical(graph)))), digest, id)
  }
})

t.test('questions are bounded, and answered within the project of who asks', async (t) => {
  const { api, second } = await openStory(t)
  const refusal = async (
    path: string,
    sent: { token?: string; headers?: Record<string, string> } = {},
  ) => {
    const answer = await api.send<{ code: string }>('GET', path, { token: api.admin, ...sent })
    return [answer.status, answer.body.code]
  }
  await api.ledger.append(
    request({ project: 'other', events: [draft({ id: '7a2d2e1f-3d4c-5b68-9a8f-4b3c0d5e6f70' })] }),
  )
  const intake = await api.token('sensor', 'intake')

  t.strictSame(await refusal('/v1/lineage/7a2d2e1f-3d4c-5b68-9a8f-4b3c0d5e6f70'), [
    404,
    'EVENT_NOT_FOUND',
  ])
  t.strictSame(await refusal('/v1/lineage/nothing-01'), [404, 'EVENT_NOT_FOUND'])
  t.strictSame(await refusal('/v1/lineage/web-01?depth=33'), [422, 'REQUEST_INVALID'])
  t.strictSame(await refusal('/v1/lineage/web-01?direction=sideways'), [422, 'REQUEST_INVALID'])
  t.strictSame(await refusal('/v1/lineage/web-01', { token: intake }), [403, 'ACCESS_DENIED'])
  t.strictSame(await refusal('/v1/lineage/web-01', { headers: { accept: 'text/html' } }), [
    415,
    'CONTENT_TYPE_UNSUPPORTED',
  ])
  const near = await ask(api, second.event, 'depth=1')
  t.ok(near.body.edges.every(({ from }) => near.body.roots.includes(from)))
  const issued = await api.send<{ event_id: string }>('POST', '/v1/tokens', {
    token: api.admin,
    body: { name: 'tom', access: ['auditor'] },
  })
  const ofToken = await ask(api, issued.body.event_id)
  t.strictSame(
    ofToken.body.edges.map(({ relation, to }) => [relation, short(to)]),
    [['wasAttributedTo', 'actor administrator']],
    'a thing whose name says nothing of its stream',
  )
  const client = draft()
  await api.ledger.append(request({ events: [client] }))
  const alone = await ask(api, client.id)
  t.strictSame(
    alone.body.edges.map(({ relation, to }) => [relation, short(to)]),
    [['wasAttributedTo', 'actor ada']],
  )
})

t.test(
  'the context and its terms are served, and no document names another to fetch',
  async (t) => {
    const { api } = await openStory(t)
    const served = await api.send<{ '@context': object }>('GET', '/ontology/context.jsonld')
    const ld = await api.send<{ '@context': object }>('GET', '/v1/lineage/web-01', {
      token: api.admin,
      headers: { accept: 'application/ld+json' },
    })
    t.equal(served.status, 200)
    t.strictSame(ld.body['@context'], served.body['@context'])
    t.equal(ld.text.includes('"@import"'), false)
  },
)
