import t from 'tap'
import { parseEntryBundle } from '../../src/ledger/tiles.js'
import { eventually, runCli, startProduct } from '../support/product.js'

const components = ['--components', 'ledger,warehouse,projector,api']
const pageLeaves = 50

t.test(
  'a ledger created for interoperability takes raw leaves, shows everybody its leaves, and stays that',
  async (t) => {
    const product = await startProduct(t, { flags: [...components, '--interoperability'] })
    const { token } = await product.token('hammer', 'intake')
    const { token: proposer } = await product.token('ada', 'proposer')
    const add = (leaf: string) =>
      product.request('POST', '/add', {
        token,
        body: leaf,
        headers: { 'content-type': 'application/octet-stream' },
      })
    const sizeOf = async () =>
      Number((await product.request('GET', '/checkpoint')).text.split('\n')[1])

    const answers = await Promise.all(
      Array.from({ length: pageLeaves }, (_, i) => add(`leaf ${i}`)),
    )
    const recorded = await product.request('POST', '/v1/evidence', {
      token: proposer,
      headers: { 'content-type': 'application/cloudevents+json' },
      body: {
        specversion: '1.0',
        id: '0a6cd6ba-2b6e-4c0d-8f3c-5d1a2b3c4d5e',
        source: 'test',
        type: 'evidence.recorded',
        subject: 'case-1',
        data: { sha256: 'a'.repeat(64), media_type: 'text/plain', size: 1 },
      },
    })
    const indexes = answers.map(({ text }) => Number(text))
    const last = Number((await add('the last leaf is no event')).text)

    t.equal(recorded.status, 200, recorded.text)
    t.equal(new Set(indexes).size, pageLeaves)
    const size = await eventually('a checkpoint over everything', async () => {
      const now = await sizeOf()
      return now > last ? now : undefined
    })
    const bundle = await fetch(`${product.url}/tile/entries/000.p/${size}`)
    const leaves = parseEntryBundle(new Uint8Array(await bundle.arrayBuffer())).map((leaf) =>
      Buffer.from(leaf).toString(),
    )
    t.strictSame(
      indexes.map((index) => leaves[index]),
      indexes.map((_, i) => `leaf ${i}`),
    )

    const folded = await eventually('fact tables beyond the raw leaves', async () => {
      const { body } = await product.request<{ rows: { events: string }[]; position: string }>(
        'POST',
        '/v1/query',
        { token: proposer, body: { sql: 'SELECT count() AS events FROM events' } },
      )
      return Number(body.position) > last ? body : undefined
    })
    const events = leaves
      .slice(0, Number(folded.position))
      .filter((leaf) => leaf.startsWith('fractalops/leaf/1\n'))
    t.equal(Number(folded.rows[0]?.events), events.length)

    const ready = await product.request<{ parts: { name: string; detail: string }[] }>(
      'GET',
      '/readyz',
    )
    t.match(ready.body.parts.find(({ name }) => name === 'ledger')?.detail, /interoperability/)
    const doctor = await runCli(['doctor', '--data', product.data])
    t.match(doctor.stdout, /created for interoperability/)
    await product.stop()
    const checked = await runCli(['fsck', '--data', product.data])
    t.equal(checked.code, 0, checked.stdout)
    t.match(checked.stdout, new RegExp(` and ${pageLeaves + 1} raw leaves`))
  },
)

t.test(
  'a ledger that was created without takes no raw leaf and cannot become one that does',
  async (t) => {
    const product = await startProduct(t, {
      flags: ['--components', 'ledger,api'],
      env: { FRACTALOPS_TILES: 'public' },
    })
    const { token } = await product.token('hammer', 'intake')

    const refused = await product.request('POST', '/add', {
      token,
      body: 'leaf',
      headers: { 'content-type': 'application/octet-stream' },
    })
    const leaves = await product.request('GET', '/tile/entries/000.p/1')
    await product.stop()
    const later = await runCli([
      'up',
      '--data',
      product.data,
      '--http',
      '127.0.0.1:0',
      '--interoperability',
      '--components',
      'ledger,api',
    ])

    t.equal(refused.status, 404)
    t.equal(leaves.status, 200, 'FRACTALOPS_TILES=public shows them to everybody')
    t.equal(later.code, 1)
    t.match(later.stderr, /created without interoperability/)
  },
)
