import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type GrpcServer, startGrpcServer } from '../../src/api/grpc/server.js'
import { identityRevoked, workerEnrolled } from '../../src/contracts/identity.js'
import type { RemoteComponent } from '../../src/contracts/worker.js'
import type { JournalLedger } from '../../src/ledger/adapters/open-journal.js'
import { openRemoteLedger, type RemoteLedger } from '../../src/ledger/adapters/remote-ledger.js'
import { createEnrolledWriter } from '../../src/ledger/enrolled-writer.js'
import { fact } from '../../src/ledger/facts.js'
import {
  createClientWriter,
  createRecordWriter,
  mintSideEffectWriter,
} from '../../src/ledger/writers.js'
import { createWorkerDirectory } from '../../src/proposals/worker-directory.js'
import { openGroupFiles } from '../../src/runtime/adapters/group-files.js'
import { authorityFile, ownTlsFiles } from '../../src/runtime/adapters/tls-certificate.js'
import {
  ownWorkerIdentity,
  type WorkerIdentity,
} from '../../src/runtime/adapters/worker-certificate.js'
import { createIdentities } from '../../src/runtime/identities.js'
import { readingView } from '../../src/runtime/ledger-view.js'
import { silentLog } from './grpc.js'
import { headsOf } from './heads.js'
import { openTestLedger, temporaryFolder } from './ledger.js'

/** A ledger with its gRPC server, and the processes that are enrolled at it. */
export interface TestRemote {
  readonly ledger: JournalLedger
  readonly address: string
  readonly authority: Uint8Array
  /** What the server takes for the present. */
  readonly clock: { nowMs: number }
  /** A certificate of its own, enrolled for nothing yet. */
  identity(): Promise<WorkerIdentity>
  enrol(
    identity: WorkerIdentity,
    components: readonly RemoteComponent[],
    more?: { readonly name?: string; readonly project?: string; readonly expiresAt?: string },
  ): Promise<void>
  revoke(identity: WorkerIdentity, name?: string): Promise<void>
  open(identity: WorkerIdentity): Promise<RemoteLedger>
  stop(): Promise<void>
  start(): Promise<void>
}

const attempt = { workflowId: 'w', activityId: 'a', activityType: 'test', isCurrent: () => true }

/**
 * `enrolments` is where enrolments are recorded: the ledger itself, unless a test needs that empty.
 */
export async function openTestRemote(
  t: Test,
  { ledger, enrolments = ledger }: { ledger: JournalLedger; enrolments?: JournalLedger },
): Promise<TestRemote> {
  const folder = await temporaryFolder(t)
  const tls = await ownTlsFiles(folder, '127.0.0.1', Date.now())
  const clock = { nowMs: Date.now() }
  const recorder = createRecordWriter(ledger)
  const clients = createClientWriter(ledger)
  const { writer } = mintSideEffectWriter(enrolments, attempt)
  const parts = {
    ledger: readingView(ledger),
    identities: createIdentities(ledger, recorder, () => clock.nowMs),
    recorder,
    clients,
    groups: openGroupFiles(join(folder, 'subscriptions')),
    now: () => clock.nowMs,
    newId: randomUUID,
    log: silentLog,
    remote: {
      workers: createWorkerDirectory(enrolments),
      writer: createEnrolledWriter(ledger, clients),
      heads: await headsOf(t, ledger),
      health: ledger,
    },
  }
  const listen = { host: '127.0.0.1', port: 0 }
  let server: GrpcServer | undefined
  const start = async () => {
    server = await startGrpcServer(parts, { ...listen, tls })
    listen.port = server.port
  }
  const stop = async () => {
    await server?.close()
    server = undefined
  }
  await start()
  t.teardown(stop)
  const authority = await readFile(join(folder, authorityFile))
  const address = `127.0.0.1:${listen.port}`
  const record = (name: string, one: Parameters<typeof writer.record>[0]['facts'][number]) =>
    writer.record({
      project: 'default',
      stream: `identity-${name}`,
      expected: 'any',
      actor: 'worker',
      facts: [one],
    })
  return {
    ledger,
    address,
    authority,
    clock,
    start,
    stop,
    identity: async () => ownWorkerIdentity(await temporaryFolder(t), Date.now()),
    async enrol({ publicKeySha256 }, components, { name = 'berlin-1', project, expiresAt } = {}) {
      const enrolled = {
        name,
        public_key_sha256: publicKeySha256,
        components: [...components],
        ...(project === undefined ? {} : { project }),
        expires_at: expiresAt ?? '2099-01-01T00:00:00.000Z',
        proposal_id: randomUUID(),
      }
      await record(name, fact(workerEnrolled, randomUUID(), enrolled))
    },
    async revoke({ publicKeySha256 }, name = 'berlin-1') {
      const revoked = { name, public_key_sha256: publicKeySha256, proposal_id: randomUUID() }
      await record(name, fact(identityRevoked, randomUUID(), revoked))
    },
    async open({ certificate, key }) {
      const opening = new AbortController()
      t.teardown(() => opening.abort())
      const store = await openRemoteLedger(
        { address, authority, certificate, key },
        { signal: opening.signal, onTrouble: () => undefined },
      )
      t.teardown(() => store.close())
      return store
    },
  }
}

/** An empty ledger reached over the wire by a process that may append what any caller may. */
export async function openEmptyRemote(t: Test): Promise<RemoteLedger> {
  const { ledger } = await openTestLedger(t)
  const { ledger: enrolments } = await openTestLedger(t)
  const remote = await openTestRemote(t, { ledger, enrolments })
  const identity = await remote.identity()
  await remote.enrol(identity, ['api', 'worker', 'execution-runtime'])
  return remote.open(identity)
}
