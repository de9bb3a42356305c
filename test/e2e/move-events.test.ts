import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { EventView } from '../../src/contracts/http.js'
import {
  cleanEnv,
  cliPath,
  eventually,
  type Product,
  runCli,
  startProduct,
} from '../support/product.js'

const events = 12_000
const batchMax = 400

async function fill(product: Product): Promise<void> {
  for (let from = 0; from < events; from += batchMax) {
    const batch = Array.from({ length: batchMax }, (_, i) => ({
      specversion: '1.0',
      id: `event ${from + i}`,
      source: 'shop',
      type: 'order.placed',
      stream: `order-${Math.floor((from + i) / 7) % 50}`,
      data: { n: from + i },
    }))
    const answer = await product.request('POST', '/v1/evidence', {
      token: product.adminToken,
      body: batch,
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    })
    if (answer.status !== 200) throw new Error(answer.text)
  }
}

t.test(
  'events of another event store are taken over, also when the command is killed, and given back',
  { timeout: 240_000 },
  async (t) => {
    const components = ['--components', 'ledger,api']
    const old = await startProduct(t, { flags: components })
    const present = await startProduct(t, { flags: components })
    await fill(old)
    const args = ['import', old.eventStore(), '--name', 'shop', '--data', present.data, '--json']

    const state = join(present.data, 'moves', 'import-shop.json')
    const killed = spawn(process.execPath, [cliPath, ...args], { env: cleanEnv(), stdio: 'ignore' })
    await eventually('the first events are moved', () => existsSync(state) || undefined)
    killed.kill('SIGKILL')
    await once(killed, 'exit')
    const again = await runCli(args, {}, 120_000)
    t.equal(again.code, 0, again.stderr)
    t.match(JSON.parse(again.stdout), {
      sameEvents: true,
      sameOrder: true,
      source: { events },
      target: { events },
    })

    const page = await present.get<{ items: EventView[] }>('/v1/events?type=order.placed&limit=500')
    const [first] = page.items
    const proof = join(present.data, 'order.proof.json')
    t.equal(first?.stream, 'order-0')
    t.equal((await runCli(['prove', first?.id ?? '', '-o', proof, '--data', present.data])).code, 0)
    const key = (await present.request('GET', '/v1/checkpoint/key')).text.trim()
    t.equal((await runCli(['verify', proof, '--key', key])).code, 0)

    const third = await startProduct(t, { flags: components })
    const given = await runCli(['export', third.eventStore(), '--data', present.data], {}, 120_000)
    t.equal(given.code, 0, given.stderr + given.stdout)
    t.match(given.stdout, /same events at both places, byte for byte, in the same order/)
  },
)

t.test('a move that cannot begin says what is missing', async (t) => {
  const nothing = await runCli([
    'import',
    'esdb://127.0.0.1:1?tls=false',
    '--ledger',
    'esdb://127.0.0.1:1?tls=false',
    '--data',
    '/nowhere',
  ])
  t.equal(nothing.code, 1)
  t.match(nothing.stderr, /no event store answers at 127\.0\.0\.1:1/)
  const malformed = await runCli([
    'import',
    'esdb://127.0.0.1:1?tsl=false',
    '--ledger',
    'esdb://127.0.0.1:1',
  ])
  t.match(malformed.stderr, /unknown parameter tsl/)
  const unknown = await runCli(['import', 'svn'])
  t.equal(unknown.code, 2)
})
