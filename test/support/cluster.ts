import { join } from 'node:path'
import type { Test } from 'tap'
import { connectCluster } from '../../src/ledger/adapters/kurrentdb-connection.js'
import {
  type ClusterLedger,
  type ClusterLedgerOptions,
  openClusterLedger,
} from '../../src/ledger/adapters/kurrentdb-ledger.js'
import { connectionTo, openTestGrpc, type TestGrpc } from './grpc.js'
import { temporaryFolder } from './ledger.js'

/** Which official client the ledger speaks through. */
export type Scheme = 'esdb' | 'kurrentdb'

/** A server of the protocol that stands in for a cluster, and how it is reached. */
export interface TestCluster {
  readonly connection: string
  /** The server, where it is our own; a real one is not in our hands. */
  readonly grpc: TestGrpc
}

/** Our own gRPC server, of which nothing is used that a cluster does not have. */
export async function openStandIn(t: Test, scheme: Scheme): Promise<TestCluster> {
  const grpc = await openTestGrpc(t)
  const connection = connectionTo(grpc, { name: 'administrator', token: grpc.admin })
  return { grpc, connection: connection.replace(/^esdb/, scheme) }
}

/** Opens the ledger of a data folder on the cluster; closed after the test. */
export async function openOn(
  t: Test,
  { connection }: Pick<TestCluster, 'connection'>,
  data: string,
  options: Partial<ClusterLedgerOptions> = {},
): Promise<ClusterLedger> {
  const cluster = options.connection ?? (await connectCluster(connection))
  const ledger = await openClusterLedger({
    folder: join(data, 'ledger'),
    clusterFolder: join(data, 'cluster'),
    secretFile: join(data, 'cluster.key'),
    now: () => Date.now(),
    connection: cluster,
    ...options,
  }).catch(async (error: unknown) => {
    await cluster.close()
    throw error
  })
  t.teardown(() => ledger.close())
  return ledger
}

/** A new ledger on a stand-in of its own. */
export async function openClusterTest(
  t: Test,
  scheme: Scheme = 'esdb',
  options: Partial<ClusterLedgerOptions> = {},
) {
  const cluster = await openStandIn(t, scheme)
  const data = await temporaryFolder(t)
  const ledger = await openOn(t, cluster, data, options)
  return { cluster, data, ledger }
}
