import { openSync, readFileSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { eventually, startProduct } from '../support/product.js'

interface Events {
  readonly items: readonly { readonly actor: string; readonly data: Record<string, unknown> }[]
}
interface Ready {
  readonly parts: readonly {
    readonly name: string
    readonly status: string
    readonly detail: string
  }[]
}

t.test(
  'a running service verifies its ledger, and names damage in an alarm and in /readyz',
  async (t) => {
    const product = await startProduct(t, {
      flags: ['--components', 'ledger,api'],
      env: { FRACTALOPS_VERIFY_PASS_SECONDS: '1' },
    })
    await product.token('somebody', 'auditor')
    const of = async (type: string) => (await product.get<Events>(`/v1/events?type=${type}`)).items
    await eventually('it is verified', async () =>
      (await of('ledger.verified')).find(({ data }) => data['whole'] === true),
    )
    const part = async () => {
      const { parts } = await product.get<Ready>('/readyz')
      return parts.find(({ name }) => name === 'verification')
    }
    t.match(await part(), { status: 'ok', detail: /^verified to [0-9]+ of/ })

    const folder = join(product.data, 'ledger', 'journal')
    const [name = ''] = readdirSync(folder)
    const path = join(folder, name)
    const bytes = readFileSync(path)
    const at = bytes.indexOf('ledger.bootstrapped')
    const fd = openSync(path, 'r+')
    writeSync(fd, Buffer.from([(bytes[at] ?? 0) ^ 1]), 0, 1, at)
    await eventually('it is shown', async () =>
      (await part())?.status === 'down' ? true : undefined,
    )
    const metrics = await product.request('GET', '/metrics', { token: product.adminToken })
    t.match(metrics.text, /fractalops_verification_damage [1-9]/)
    writeSync(fd, Buffer.from([bytes[at] ?? 0]), 0, 1, at)
    await eventually('it is cleared', async () => (await of('ledger.alarm-cleared'))[0])
    t.match(await of('ledger.alarm-raised'), [
      {
        actor: 'verifier',
        data: { alarm: 'damage-found', place: { file: `journal/${name}`, position: '0' } },
      },
    ])
    t.match(await part(), { status: 'ok' })
  },
)
