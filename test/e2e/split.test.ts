import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { EventView, ProposalView } from '../../src/contracts/http.js'
import {
  approve,
  change,
  greeting,
  operation,
  people,
  type People,
  propose,
  queried,
  reached,
  runningWeb,
} from '../support/change.js'
import { eventually, freePorts, Product, runCli } from '../support/product.js'
import { requireTemporal, startTemporal } from '../support/temporal.js'

/** A process of its own folder that is ended after the test. */
function place(t: Test, flags: readonly string[], env: Record<string, string>): Product {
  const data = mkdtempSync(join(tmpdir(), 'fractalops-split-'))
  const product = new Product(data, flags, env)
  t.teardown(async () => {
    await product.stop()
    rmSync(data, { recursive: true, force: true })
  })
  return product
}

/** The same process with other parts. */
const as = (product: Product, flags: readonly string[], env: Record<string, string>): Product => {
  const other = new Product(product.data, flags, env)
  return other
}

async function enrol(
  product: Product,
  { proposer, approver }: People,
  at: Product,
  name: string,
  components: string,
): Promise<void> {
  const printed = await runCli([
    'worker',
    'identity',
    '--data',
    at.data,
    '--name',
    name,
    '--components',
    components,
  ])
  if (printed.code !== 0) throw new Error(printed.stderr)
  const submitted = await propose(product, proposer, JSON.parse(printed.stdout))
  await approve(product, approver, submitted)
  const { status, waiting_for: why } = await reached(product, submitted.id)
  if (status !== 'completed') throw new Error(`${name} was not enrolled: ${status} ${String(why)}`)
}

const typesOf = async (product: Product, stream: string): Promise<string[]> => {
  const page = await product.get<{ items: EventView[] }>(`/v1/streams/${stream}?limit=500`)
  return page.items.map(({ type }) => type)
}

/** A change that asks for an approval and runs while somebody dies; answers it when it is awaiting its end. */
async function begun(product: Product, who: People, assetId: string): Promise<ProposalView> {
  const submitted = await propose(
    product,
    who.proposer,
    operation(assetId, 'configure', { configuration: '{"greeting":"moved"}' }),
  )
  await approve(product, who.approver, submitted)
  return reached(product, submitted.id, ['executing', 'completed'])
}

const once = (t: Test, types: readonly string[], proposal: ProposalView) => {
  t.equal(proposal.status, 'completed', proposal.waiting_for ?? '')
  for (const type of ['proposal.started', 'policy.enforced', 'proposal.completed'])
    t.equal(types.filter((one) => one === type).length, 1, `${type} stands once`)
}

t.test(
  'ledger, execution and warehouse in processes of their own',
  { skip: requireTemporal() },
  async (t) => {
    const temporal = await startTemporal(t)
    const [grpc, warehouse] = [await freePorts(1), await freePorts(1)]
    const listen = ['--grpc', `127.0.0.1:${grpc}`]
    const env = { FRACTALOPS_TEMPORAL: temporal.address }
    const warehouseUrl = { FRACTALOPS_WAREHOUSE: `http://127.0.0.1:${warehouse}` }
    const first = place(t, [...listen, '--components', 'ledger,api,worker'], env)
    await first.start()
    const elsewhere = {
      ...env,
      FRACTALOPS_LEDGER: `esdb://127.0.0.1:${grpc}?tlsCAFile=${first.data}/keys/grpc-ca.crt`,
    }
    const runtime = place(t, ['--components', 'worker,execution-runtime'], elsewhere)
    const facts = place(
      t,
      ['--components', 'projector,warehouse', '--warehouse', `127.0.0.1:${warehouse}`],
      elsewhere,
    )
    const who = await people(first)
    await enrol(first, who, runtime, 'runtime-1', 'worker,execution-runtime')
    await enrol(first, who, facts, 'facts-1', 'projector,warehouse')
    await first.stop()
    const ledger = as(first, [...listen, '--components', 'ledger,api'], { ...env, ...warehouseUrl })
    t.teardown(() => ledger.stop())
    await Promise.all([ledger.start(), runtime.start(), facts.start()])

    await t.test('a change is proposed, decided, executed and proven', async (t) => {
      const port = await runningWeb(ledger, who, 'web-01')
      t.equal(await greeting(port), 'hello')
      const changed = await change(
        ledger,
        who,
        operation('web-01', 'configure', { configuration: '{"greeting":"good night"}' }),
      )
      t.equal(changed.status, 'completed', changed.waiting_for ?? '')
      t.equal(await greeting(port), 'good night')
      const mutated = changed.timeline.find(({ type }) => type === 'asset.mutated')
      t.match(mutated, { writer: 'activity', actor: 'execution-runtime' })
      const file = join(ledger.data, 'mutated.proof.json')
      const proved = await runCli([
        'prove',
        mutated?.event_id ?? '',
        '-o',
        file,
        '--data',
        ledger.data,
      ])
      t.equal(proved.code, 0, proved.stderr)
      const key = (await ledger.request('GET', '/v1/checkpoint/key')).text.trim()
      t.equal((await runCli(['verify', file, '--key', key])).code, 0)
      await queried(
        ledger,
        `SELECT event_id FROM asset_mutations WHERE event_id = '${mutated?.event_id ?? ''}'`,
      )
    })

    await t.test(
      'kill -9 of each process in the middle of a change loses nothing and does nothing twice',
      async (t) => {
        for (const [name, victim] of [
          ['execution', runtime],
          ['ledger', ledger],
          ['warehouse', facts],
        ] as const) {
          const running = await begun(ledger, who, 'web-01')
          await victim.kill()
          await victim.start()
          const ended = await eventually(`the change during the death of ${name}`, async () => {
            const view = await reached(ledger, running.id)
            return view
          })
          once(t, await typesOf(ledger, `proposal-${running.id}`), ended)
          const mutations = (await typesOf(ledger, 'asset-web-01')).filter((type) =>
            ['asset.mutation-intended', 'asset.mutated'].includes(type),
          )
          t.equal(mutations.length % 2, 0, `${name}: every intent has its one outcome`)
          await queried(
            ledger,
            `SELECT event_id FROM proposals WHERE proposal_id = '${running.id}' AND status = 'completed'`,
            (rows) => rows.length === 1,
          )
        }
      },
    )

    await t.test('the API too runs without the ledger, and says when that is away', async (t) => {
      await ledger.stop()
      const alone = as(first, [...listen, '--components', 'ledger'], env)
      const api = place(t, ['--components', 'api'], elsewhere)
      const whole = as(first, [...listen, '--components', 'ledger,api'], env)
      t.teardown(() => Promise.all([alone.stop(), whole.stop()]))
      await whole.start(20_000)
      await enrol(whole, who, api, 'api-1', 'api')
      await whole.stop()
      await alone.start()
      await api.start()
      copyFileSync(join(first.data, 'admin.token'), join(api.data, 'admin.token'))

      const changed = await change(api, who, operation('web-01', 'restart'))
      t.equal(changed.status, 'completed', changed.waiting_for ?? '')

      await alone.kill()
      const down = await eventually('the API noticing', async () => {
        const answer = await api.request<{ parts: { name: string; detail: string }[] }>(
          'GET',
          '/readyz',
        )
        return answer.status === 503 ? answer : undefined
      })
      t.match(down.text, /does not answer/)
      const refused = await api.request('POST', '/v1/proposals', {
        token: who.proposer,
        body: operation('web-01', 'restart'),
      })
      t.equal(refused.status, 503, refused.text)
      await alone.start()
      await eventually('the API being ready again', async () =>
        (await api.request('GET', '/readyz')).status === 200 ? true : undefined,
      )
      const after = await change(api, who, operation('web-01', 'restart'))
      t.equal(after.status, 'completed', after.waiting_for ?? '')
    })
  },
)
