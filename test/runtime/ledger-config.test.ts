import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { configFile, loadConfig } from '../../src/runtime/config.js'
import { temporaryFolder } from '../support/ledger.js'

const load = (env: Record<string, string>, cwd = '/srv') => loadConfig({ flags: {}, env, cwd })

t.test('the ledger stands in the data folder unless a cluster is named', async (t) => {
  t.strictSame(load({}).ledger, { kind: 'embedded' })
  t.strictSame(load({ FRACTALOPS_LEDGER: 'file:' }).ledger, { kind: 'embedded' })
  t.strictSame(
    load({
      FRACTALOPS_LEDGER: 'esdb://one:2113,two:2113?tls=false',
      FRACTALOPS_LEDGER_CREDENTIALS: 'cluster.login',
    }).ledger,
    {
      kind: 'cluster',
      connection: 'esdb://one:2113,two:2113?tls=false',
      credentials: '/srv/cluster.login',
    },
  )
  t.match(load({ FRACTALOPS_LEDGER: 'kurrentdb+discover://db.example.org' }).ledger, {
    connection: 'kurrentdb+discover://db.example.org',
  })
})

t.test(
  'what is wrong about the ledger is told at once, and no file holds a password',
  async (t) => {
    t.throws(() => load({ FRACTALOPS_LEDGER: 'http://x' }), {
      code: 'CONFIGURATION_INVALID',
      message: /FRACTALOPS_LEDGER must be file:/,
    })
    t.throws(() => load({ FRACTALOPS_LEDGER_CREDENTIALS: 'cluster.login' }), {
      message: /name a cluster/,
    })
    t.throws(
      () =>
        load({
          FRACTALOPS_LEDGER: 'esdb://ada:secret@one:2113',
          FRACTALOPS_LEDGER_CREDENTIALS: 'cluster.login',
        }),
      { message: /names others/ },
    )
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, configFile), 'ledger: esdb://ada:secret@one:2113\n')
    t.throws(() => load({}, folder), { message: /must hold no password/ })
  },
)
