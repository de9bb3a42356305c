import { randomBytes } from 'node:crypto'
import t from 'tap'
import { connectCluster } from '../../src/ledger/adapters/kurrentdb-connection.js'
import { eventStoreConformance } from '../integration/shared/event-store.js'
import { openOn } from '../support/cluster.js'
import { cornerOf } from '../support/cluster-corner.js'
import { temporaryFolder } from '../support/ledger.js'

const connection = process.env['FRACTALOPS_TEST_KURRENTDB']

/** What a test begins with stands in streams of its own. */
const corner = () => `test${randomBytes(8).toString('hex')}:`

if (connection === undefined)
  void t.test(
    'the laws of the event store port hold on a real server',
    { skip: 'FRACTALOPS_TEST_KURRENTDB names no server' },
    () => undefined,
  )
else
  eventStoreConformance(t, async (t) =>
    openOn(t, { connection }, await temporaryFolder(t), {
      connection: cornerOf(await connectCluster(connection), corner()),
    }),
  )
