import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { change, operation, people, runningWeb } from '../support/change.js'
import { startProduct } from '../support/product.js'
import { requireTemporal } from '../support/temporal.js'

/** Files below a folder that hold the bytes. */
const holding = (folder: string, needle: Buffer): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file))
    .filter((file) => statSync(file).isFile() && readFileSync(file).includes(needle))

t.test(
  'a payload is found in no workflow history, log or metric',
  { skip: requireTemporal(), timeout: 120_000 },
  async (t) => {
    const product = await startProduct(t)
    const who = await people(product)
    await runningWeb(product, who, 'web-01')
    const planted = `planted${randomBytes(12).toString('hex')}`
    const needles = [
      Buffer.from(planted),
      Buffer.from(Buffer.from(planted).toString('base64').replace(/=+$/, '').slice(0, 30)),
    ]

    const done = await change(product, who, {
      ...operation('web-01', 'configure', { configuration: JSON.stringify({ greeting: planted }) }),
      reason: `because of ${planted}`,
    })
    const failed = await change(
      product,
      who,
      operation('web-01', 'configure', {
        configuration: JSON.stringify({ greeting: planted, fail_health: true }),
      }),
    )
    t.equal(done.status, 'completed')
    t.equal(failed.status, 'failed')

    const metrics = await product.request('GET', '/metrics', { token: product.adminToken })
    t.equal(metrics.status, 200)
    await product.stop()
    for (const needle of needles) {
      t.notOk(metrics.text.includes(needle.toString()), 'metrics')
      t.notOk(product.output.includes(needle.toString()), 'what the service printed')
      t.strictSame(
        holding(join(product.data, 'temporal'), needle),
        [],
        'the store and log of Temporal',
      )
    }
    const logs = readdirSync(product.data, { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.log') && !file.startsWith('assets'),
    )
    for (const file of logs)
      t.notOk(readFileSync(join(product.data, file)).includes(needles[0] ?? ''), file)
    t.ok(
      holding(join(product.data, 'ledger'), needles[0] ?? Buffer.alloc(0)).length > 0,
      'the ledger itself holds it: the search works',
    )
  },
)
