import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  approve,
  change,
  greeting,
  holding,
  operation,
  people,
  propose,
  reached,
  runningWeb,
} from '../support/change.js'
import { eventually, freePorts, type Product, runCli, startProduct } from '../support/product.js'
import { requireTemporal } from '../support/temporal.js'

/** A running product of ours: whoever has the component `ledger` sequences, whatever the peer is. */
const standInFor = (product: Product, port: number): Record<string, string> => ({
  FRACTALOPS_LEDGER: product.eventStore(`127.0.0.1:${port}`),
})

t.test(
  'the whole product runs with its events on a cluster, through kills of either side',
  { skip: requireTemporal(), timeout: 240_000 },
  async (t) => {
    const port = await freePorts(1)
    const cluster = await startProduct(t, {
      flags: ['--components', 'ledger,api', '--grpc', `127.0.0.1:${port}`],
    })
    const product = await startProduct(t, { env: standInFor(cluster, port) })
    const folder = mkdtempSync(join(tmpdir(), 'fractalops-cluster-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const who = await people(product)
    const web = await runningWeb(product, who, 'web-01')

    const { id } = await change(
      product,
      who,
      operation('web-01', 'configure', { configuration: '{"greeting":"good morning"}' }),
    )
    const configured = await holding(product, id, 'workflow.completed')
    t.equal(configured.status, 'completed')
    t.equal(await greeting(web), 'good morning')
    const mutated = configured.timeline.find(({ type }) => type === 'asset.mutated')
    const shown = await cluster.request('GET', '/v1/events?limit=500', {
      token: cluster.adminToken,
    })
    t.ok(shown.text.includes('fractalops:asset.mutated'), 'the events stand on the cluster')
    t.notOk(shown.text.includes('good morning'), 'and their content is closed there')

    const undecided = await propose(
      product,
      who.proposer,
      operation('web-01', 'configure', { configuration: '{"greeting":"good night"}' }),
    )
    await reached(product, undecided.id, ['awaiting-approval'])
    await product.kill()
    await product.start()
    const waiting = await reached(product, undecided.id, ['awaiting-approval'])

    await cluster.kill()
    await eventually('the loss of the cluster being told', async () => {
      const { text } = await product.request('GET', '/readyz')
      return text.includes('the cluster') ? true : undefined
    })
    const refused = await product.request('POST', `/v1/proposals/${waiting.id}/approvals`, {
      token: who.approver,
      body: { proposal_digest: waiting.digest },
    })
    t.equal(refused.status, 503)
    await cluster.start()
    await eventually('the cluster being reached again', async () => {
      const { text } = await product.request('GET', '/readyz')
      return text.includes('the cluster') ? undefined : true
    })
    await approve(
      product,
      who.approver,
      await reached(product, undecided.id, ['awaiting-approval']),
    )
    t.equal((await holding(product, undecided.id, 'workflow.completed')).status, 'completed')

    const proof = join(folder, 'change.proof.json')
    const key = join(folder, 'ledger.vkey')
    writeFileSync(key, `${(await product.request('GET', '/v1/checkpoint/key')).text.trim()}\n`)
    await product.stop()
    const proven = await runCli([
      'prove',
      mutated?.event_id ?? '',
      '-o',
      proof,
      '--data',
      product.data,
    ])
    t.equal(proven.code, 0, proven.stderr)
    t.equal((await runCli(['verify', proof, '--key', key])).code, 0)
    const checked = await runCli(['fsck', '--data', product.data])
    t.equal(checked.code, 0, checked.stdout + checked.stderr)
    const embedded = await runCli(['up', '--data', product.data, '--http', '127.0.0.1:0'])
    t.match(embedded, { code: 1, stderr: /FRACTALOPS_LEDGER must name it/ })
  },
)
