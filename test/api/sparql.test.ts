import t from 'tap'
import { openGraphThread } from '../../src/ontology/adapters/graph-thread.js'
import { checkSparql } from '../../src/ontology/sparql-query.js'
import { properties } from '../../src/ontology/terms.js'
import type { TestApi } from '../support/api.js'
import { draft, openTestLedger, request } from '../support/ledger.js'
import { ask, openStory, provenLinks } from '../support/lineage.js'
import { graphLedger } from '../support/graphs.js'
import { storyOf } from '../support/story.js'

interface Rows {
  readonly head: { readonly vars: string[] }
  readonly results: { readonly bindings: Record<string, { readonly value: string }>[] }
  readonly boolean?: boolean
  /** Of a refusal. */
  readonly code?: string
}

const prologue = `
PREFIX l: <https://fractalops.local/ontology#>
PREFIX prov: <http://www.w3.org/ns/prov#>
`
const query = (api: TestApi, text: string, sent: { token?: string; accept?: string } = {}) =>
  api.send<Rows>('POST', '/sparql', {
    token: sent.token ?? api.admin,
    body: prologue + text,
    headers: {
      'content-type': 'application/sparql-query',
      ...(sent.accept === undefined ? {} : { accept: sent.accept }),
    },
  })

const leadingBack = Object.values(properties)
  .filter(({ leadsBack }) => leadsBack)
  .map(({ iri }) => `<${iri}>`)

t.test(
  'what led to the state of an asset is the same by SPARQL and by the API, and proven',
  async (t) => {
    const { api } = await openStory(t)

    const walked = await ask(api, 'web-01', 'depth=32')
    const answer = await query(
      api,
      `SELECT DISTINCT ?from ?relation ?to ?event ?position ?proof {
      VALUES ?relation { ${leadingBack.join(' ')} }
      <${walked.body.roots[0]}> (${leadingBack.join('|')})* ?from .
      GRAPH ?event { ?from ?relation ?to . ?event l:position ?position ; l:proof ?proof }
    }`,
    )

    t.equal(answer.status, 200, answer.text.slice(0, 500))
    t.equal(answer.headers.get('fractalops-position'), walked.body.position)
    t.equal(answer.headers.get('fractalops-from'), '0')
    const { bindings } = answer.body.results
    const lineOf = (from: string, relation: string, to: string, position: string) =>
      [from, relation, to, position].join(' ')
    t.strictSame(
      bindings
        .map((row) =>
          lineOf(
            row['from']!.value,
            row['relation']!.value,
            row['to']!.value,
            row['position']!.value,
          ),
        )
        .sort(),
      walked.body.edges
        .map(({ from, relation, to, position }) =>
          lineOf(from, properties[relation as keyof typeof properties].iri, to, position),
        )
        .sort(),
    )
    t.ok(bindings.length > 50, 'the question had an answer')
    const told = new Map<string, string[]>()
    for (const row of bindings) {
      const proof = row['proof']!.value
      if (!told.has(proof)) told.set(proof, await provenLinks(api, proof))
      const relation = Object.entries(properties).find(
        ([, { iri }]) => iri === row['relation']!.value,
      )
      const link = [row['from']!.value, relation?.[0], row['to']!.value].join(' ')
      if (told.get(proof)?.includes(link) !== true) t.fail(`${link} is not what its event tells`)
    }

    await t.test('in every form that the protocol has', async (t) => {
      const count = 'SELECT (COUNT(DISTINCT ?a) AS ?n) { ?a a l:Asset }'
      const got = await api.send('GET', `/sparql?query=${encodeURIComponent(prologue + count)}`, {
        token: api.admin,
        headers: { accept: 'text/csv' },
      })
      const posted = await api.send<Rows>('POST', '/sparql', {
        token: api.admin,
        body: new URLSearchParams({ query: prologue + count }).toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })
      const asked = await query(api, 'ASK { ?m a l:Mutation ; l:outcome "mutated" }')
      const made = await query(api, 'CONSTRUCT { ?s a prov:Entity } WHERE { ?s a l:AssetState }')
      t.match(got.text, /^n\r?\n2\r?\n$/)
      t.equal(posted.body.results.bindings[0]?.['n']?.value, '2')
      t.equal(asked.body.boolean, true)
      t.match(made.headers.get('content-type'), 'text/turtle')
      t.match(made.text, 'state:web-01/3')
    })

    await t.test('statements that many events tell stand in the default graph once', async (t) => {
      const names = await query(api, 'SELECT ?a { ?a l:name "ada" }')
      t.equal(names.body.results.bindings.length, 1)
    })

    await t.test(
      'what is recorded is there with the next question, within the project',
      async (t) => {
        const mine = draft()
        const others = draft()
        await api.ledger.append(request({ events: [mine] }))
        await api.ledger.append(request({ project: 'other', events: [others] }))
        const all = await query(api, 'SELECT ?e { ?e l:eventType "order.placed" }')
        t.equal(all.headers.get('fractalops-position'), String(api.ledger.size()))
        t.strictSame(
          all.body.results.bindings.map((row) => row['e']?.value.split(':').at(-1)),
          [mine.id],
        )
      },
    )

    await t.test('what is no reading query is refused by name', async (t) => {
      const refusal = async (text: string) => {
        const { status, body } = await query(api, text)
        return [status, body.code]
      }
      const invalid = [400, 'SPARQL_INVALID']
      for (const text of [
        'SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }',
        'SELECT * { SERVICE SILENT <http://127.0.0.1:1/> { ?s ?p ?o } }',
        'INSERT DATA { <urn:a> <urn:b> <urn:c> }',
        'LOAD <http://127.0.0.1:1/>',
        'DROP ALL',
        'SELECT * {',
        '',
      ])
        t.strictSame(await refusal(text), invalid, text)
      t.strictSame(await refusal(`SELECT * { ?s ?p "${'x'.repeat(70_000)}" }`), [
        413,
        'REQUEST_TOO_LARGE',
      ])
      t.strictSame(await refusal('SELECT * { ?a ?b ?c . ?d ?e ?f } LIMIT 10001'), [
        413,
        'GRAPH_QUERY_TOO_COSTLY',
      ])
      const update = await api.send<{ code: string }>('POST', '/sparql', {
        token: api.admin,
        body: 'DROP ALL',
        headers: { 'content-type': 'application/sparql-update' },
      })
      t.strictSame([update.status, update.body.code], [415, 'CONTENT_TYPE_UNSUPPORTED'])
      const elsewhere = await api.send<{ code: string }>('POST', '/sparql', {
        token: api.admin,
        body: 'query=ASK%7B%7D&default-graph-uri=http://127.0.0.1:1/',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })
      t.strictSame([elsewhere.status, elsewhere.body.code], [400, 'REQUEST_INVALID'])
      const intake = await api.token('sensor', 'intake')
      t.equal((await query(api, 'ASK {}', { token: intake })).status, 403)
      t.equal((await api.send('GET', '/sparql?query=ASK%7B%7D')).status, 401)
      t.equal((await query(api, 'SELECT ?s { ?s a l:Asset } LIMIT 1')).status, 200, 'it goes on')
    })
  },
)

t.test('SERVICE is seen wherever it hides, and nowhere else', async (t) => {
  for (const text of [
    'select*{service<http://x/>{}}',
    'SELECT * { \\u0053ERVICE <http://x/> {} }',
    'SELECT * { ?s ?p "\\u0022" . SERVICE <http://x/> {} } # """',
    "SELECT * { ?s ?p '''a''' . SERVICE ?x {} }",
    'SELECT * { # comment\nSERVICE ?x {} }',
    'SELECT * { ?a <urn:b> 1 . SERVICE ?x {} }',
  ])
    t.throws(() => checkSparql(text), { code: 'SPARQL_INVALID' }, text)
  for (const text of [
    'SELECT * { ?service <urn:SERVICE> "SERVICE" } # SERVICE',
    'PREFIX SERVICE: <urn:x> SELECT * { SERVICE:a SERVICE:SERVICE """ SERVICE """@en }',
    "BASE <urn:x> ASK { ?s ?p ' SERVICE \\' SERVICE ' }",
  ])
    t.doesNotThrow(() => checkSparql(text), text)
})

t.test(
  'a query without end is ended, and the next one is answered from the ledger anew',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const story = storyOf(ledger)
    for (let revision = 0; revision < 6; revision += 1) await story.observe('web-01', revision + 1)
    const graphs = openGraphThread({ reader: ledger, ledger: graphLedger, limitMs: 1_500 })
    t.teardown(() => graphs.close())
    const csv = (text: string) => graphs.ask('default', prologue + text, 'text/csv')

    const endless =
      'SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n ?o }'
    await t.rejects(csv(endless), { code: 'GRAPH_QUERY_TOO_COSTLY' })
    const after = await csv('SELECT (COUNT(DISTINCT ?s) AS ?n) { ?s a l:AssetState }')
    t.match(after.text, /^n\r?\n6\r?\n$/)
    t.equal(after.position, ledger.size())
    const many = Array.from({ length: 40 }, () =>
      csv('ASK {}').then(
        () => 'ok',
        (error: unknown) => (error as { code: string }).code,
      ),
    )
    const codes = new Set(await Promise.all(many))
    t.strictSame([...codes].sort(), ['GRAPH_UNAVAILABLE', 'ok'])
  },
)

t.test('the store holds the newest events, and drops what only older ones say', async (t) => {
  const { ledger } = await openTestLedger(t)
  const story = storyOf(ledger)
  const graphs = openGraphThread({ reader: ledger, ledger: graphLedger, windowEvents: 3 })
  t.teardown(() => graphs.close())
  const states = async () => {
    const { text, from } = await graphs.ask(
      'default',
      `${prologue}SELECT ?r { ?s a l:AssetState ; l:stateRevision ?r } ORDER BY ?r`,
      'text/csv',
    )
    return [from, ...text.trim().split(/\r?\n/).slice(1)]
  }
  await story.observe('web-01', 1)
  await story.observe('web-01', 2)
  t.strictSame(await states(), [0, '1', '2'])
  for (const revision of [3, 4, 5]) await story.observe('web-01', revision)
  t.strictSame(await states(), [2, '3', '4', '5'])
  const { text } = await graphs.ask('default', `${prologue}SELECT ?n { ?a l:name ?n }`, 'text/csv')
  t.match(text, /^n\r?\nworker\r?\n$/, 'what newer events say too is still there')
})
