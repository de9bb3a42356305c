import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { ApiParts, Health } from './api/parts.js'
import { buildServer } from './api/server.js'
import type { Sessions } from './api/sessions.js'
import { createProcessController } from './assets/adapters/process.js'
import { createAssetDirectory } from './assets/directory.js'
import { EvidenceError } from './contracts/errors.js'
import type { Ledger } from './ledger/ledger.js'
import type { RawLeafWriter } from './ledger/raw-leaf.js'
import type { SealedHeads } from './ledger/sealed-heads.js'
import type { LedgerVerifier } from './ledger/verification.js'
import type { WitnessedCheckpoints } from './ledger/witnessed.js'
import { createClientWriter, createRecordWriter } from './ledger/writers.js'
import { openClickHouse } from './projections/adapters/clickhouse.js'
import { startWarehouse } from './projections/adapters/warehouse-child.js'
import { projectors } from './projections/tables.js'
import { createCedarEngine } from './proposals/adapters/cedar.js'
import { createDecider } from './proposals/decision.js'
import { createProposalDesk } from './proposals/desk.js'
import { createProposalDirectory } from './proposals/directory.js'
import { createActivePolicies } from './proposals/policies.js'
import { startTemporalServer, type TemporalServer } from './runtime/adapters/temporal-server.js'
import { createRuntimeAssetControlService } from './runtime/asset-control.js'
import { observeChanges } from './runtime/asset-observer.js'
import { createAssetViews } from './runtime/asset-view.js'
import type { Component, Config } from './runtime/config.js'
import type { Closing } from './runtime/closing.js'
import type { DataFolder } from './runtime/data-folder.js'
import { createExecution, type Execution } from './runtime/execution.js'
import { createExecutionActivities } from './runtime/execution-activities.js'
import { createIdentities } from './runtime/identities.js'
import { createLedgerActivities } from './runtime/ledger-activities.js'
import { readingView } from './runtime/ledger-view.js'
import type { Log } from './runtime/log.js'
import { createOpenProposals } from './runtime/open-proposals.js'
import { followFacts } from './runtime/project.js'
import { followProposals } from './runtime/proposal-follower.js'
import { currentWriter } from './runtime/side-effects.js'
import { ledgerQueue } from './runtime/step-names.js'
import { createWorkflowStarter } from './runtime/workflow-starter.js'

/** What `up` says and asks while it starts. */
export interface ServiceIo {
  readonly say: (line: string) => void
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** The domain over one ledger: who may come in, what is proposed, what is controlled. */
export function openDomain(ledger: Ledger) {
  const view = readingView(ledger)
  const recorder = createRecordWriter(ledger)
  const now = () => Date.now()
  const engine = createCedarEngine()
  const assets = createAssetDirectory(view)
  const proposals = createProposalDirectory(view)
  const policies = createActivePolicies(view, engine)
  const identities = createIdentities(view, recorder, now)
  const accessOf = async (project: string, name: string) => {
    const found = (await identities.list(project)).find((identity) => identity.name === name)
    if (found === undefined || found.revoked) return undefined
    return found.expiresAt !== undefined && Date.parse(found.expiresAt) <= now()
      ? undefined
      : found.access
  }
  const decider = createDecider({ assets, policies, accessOf, proposals })
  const desk = createProposalDesk({
    reader: view,
    writer: recorder,
    assets,
    proposals,
    decider,
    now,
    newId: randomUUID,
  })
  return {
    view,
    recorder,
    clients: createClientWriter(ledger),
    // Bound to this one way of writing: nothing else of the ledger is reachable from it.
    rawLeaves: rawLeavesOf(ledger),
    interoperability: ledger.interoperability,
    engine,
    assets,
    identities,
    decider,
    desk,
    now,
  }
}
export type Domain = ReturnType<typeof openDomain>

function rawLeavesOf(ledger: Ledger): RawLeafWriter | null {
  if (!ledger.interoperability) return null
  return Object.freeze<RawLeafWriter>({
    async addRaw(leaf) {
      if (ledger.addRaw === undefined)
        throw new EvidenceError('NOT_FOUND', 'this ledger takes no raw leaves')
      return ledger.addRaw(leaf)
    },
  })
}

/** The warehouse of the configuration: a child of ours, or a server elsewhere. */
export async function openWarehouse(
  config: Config,
  folder: DataFolder,
  log: Log,
  closing: Closing,
) {
  if (!config.warehouse.embedded) {
    const warehouse = openClickHouse({ url: config.warehouse.address })
    closing.add('warehouse client', () => warehouse.close())
    return { warehouse, child: undefined }
  }
  const child = await startWarehouse({
    folder: folder.warehouse,
    listen: config.warehouse.listen,
    entry: join(import.meta.dirname, 'projections', 'main.js'),
    log,
  })
  closing.add('warehouse', () => child.close())
  const warehouse = openClickHouse({
    url: child.url,
    user: child.writer.user,
    password: child.writer.password,
    embedded: true,
  })
  closing.add('warehouse client', () => warehouse.close())
  return { warehouse, child }
}
export type OpenWarehouse = Awaited<ReturnType<typeof openWarehouse>>

/** Where Temporal is: a dev server of ours, or an address that was given. */
export async function openTemporal(
  config: Config,
  folder: DataFolder,
  io: ServiceIo,
  closing: Closing,
) {
  if (!config.temporal.embedded) {
    const { address } = config.temporal
    return { address: () => address, detail: () => `Temporal at ${address}`, server: undefined }
  }
  const { host, port } = config.temporal.listen
  const server = await startTemporalServer({
    folder: folder.temporal,
    host,
    port,
    environment: io.environment,
    install: config.installTemporal,
    say: io.say,
  })
  closing.add('temporal', () => server.close())
  return { address: () => server.address(), detail: () => server.state().detail, server }
}
export type OpenTemporal = {
  readonly address: () => string | undefined
  readonly detail: () => string
  readonly server: TemporalServer | undefined
}

/** Workers, followers and controllers: everything that makes proposals happen. */
export function startExecution(
  ledger: Ledger,
  domain: Domain,
  temporal: OpenTemporal,
  parts: { config: Config; folder: DataFolder; log: Log; closing: Closing },
): Execution {
  const { config, folder, log, closing } = parts
  const { view, desk, decider, assets, now } = domain
  const runs = (component: Component) => config.components.includes(component)
  const originHash = createHash('sha256').update(ledger.origin).digest('hex').slice(0, 16)
  const taskQueue = ledgerQueue(originHash)
  const onAvailable: (() => void)[] = []
  const execution = createExecution({
    address: temporal.address,
    addressDetail: temporal.detail,
    store: ledger,
    taskQueue,
    workflowBundle: { codePath: join(import.meta.dirname, 'workflow-bundle.js') },
    log,
    onAvailable: () => {
      for (const tell of onAvailable) tell()
    },
  })
  const starter = createWorkflowStarter(() => execution.client(), taskQueue)
  const open = createOpenProposals(view)
  const control = createRuntimeAssetControlService({
    reader: view,
    assets,
    controllers: [
      createProcessController({
        folder: folder.assets,
        namespace: ledger.origin,
        now,
        root: process.cwd(),
        log,
      }),
    ],
    writer: currentWriter,
    actor: 'execution-runtime',
  })
  execution.start({
    ...(runs('worker')
      ? {
          ledger: createLedgerActivities({
            reader: view,
            desk,
            enforce: (project, id) => decider.enforce(project, id),
            open,
            starter,
            assets: () => control.assetsToObserve(),
            now,
          }),
        }
      : {}),
    ...(runs('execution-runtime')
      ? { execution: createExecutionActivities({ reader: view, control, now }) }
      : {}),
  })
  const follower = followProposals({ reader: view, desk, open, starter, log })
  const observer = observeChanges({ starter, log, newId: randomUUID })
  onAvailable.push(
    () => follower.executionIsBack(),
    () => observer.executionIsBack(),
  )
  void control.watchAll((project, assetId) => observer.changed({ project, assetId }))
  // The reverse of this order: nothing new begins, attempts are drained, then processes are ended.
  closing.add('asset control', () => control.close())
  closing.add('execution', () => execution.close())
  closing.add('followers', () => Promise.all([follower.close(), observer.close()]))
  return execution
}

/** The follower of the fact tables, which a rebuild ends and begins anew. */
export function startProjection(
  domain: Domain,
  { warehouse }: OpenWarehouse,
  log: Log,
  closing: Closing,
) {
  const parts = { reader: domain.view, proofs: domain.view, warehouse, projectors, log }
  const begin = () => {
    const ending = new AbortController()
    return { ending, follower: followFacts({ ...parts, signal: ending.signal }) }
  }
  let running = begin()
  let rebuilding = Promise.resolve()
  const end = async () => {
    running.ending.abort()
    await running.follower.done
  }
  closing.add('projector', end)
  return {
    status: () => running.follower.status(),
    progress: () =>
      projectors.map(({ table }) => ({ table, position: running.follower.position() })),
    rebuild() {
      rebuilding = rebuilding.then(async () => {
        await end()
        await warehouse
          .prepare(
            projectors,
            projectors.map(({ table }) => table),
          )
          .finally(() => {
            running = begin()
          })
      })
      return rebuilding
    },
  }
}
export type Projection = ReturnType<typeof startProjection>

const noFacts = () => {
  throw new EvidenceError('WAREHOUSE_UNAVAILABLE', 'this process runs no warehouse')
}

/** The HTTP server. What it is handed can read and record; nothing in it tells of side effects (law 3). */
export async function startApi(
  config: Config,
  domain: Domain,
  parts: {
    readonly heads: SealedHeads
    readonly sessions: Sessions
    readonly warehouse: OpenWarehouse | undefined
    readonly projection: Projection | undefined
    readonly health: () => Promise<Health>
    readonly witnessed: WitnessedCheckpoints | undefined
    readonly verifier: LedgerVerifier | undefined
    readonly closing: Closing
  },
) {
  const app = await buildServer(apiParts(domain, parts.sessions, parts), {
    host: config.http.host,
    portalFolder: join(import.meta.dirname, 'portal'),
    publicTiles: config.tiles === 'public' || domain.interoperability,
  })
  parts.closing.add('http', () => app.close())
  const { host, port } = config.http
  const url = await app.listen({ host, port }).catch((cause: unknown) => {
    const taken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
    throw taken
      ? new EvidenceError('ADDRESS_IN_USE', `${host}:${port} (HTTP) is taken by another program`, {
          cause,
        })
      : cause
  })
  return { url }
}

/** Exactly what the API is given; `test/compose.test.ts` walks through it. */
export function apiParts(
  { view, recorder, clients, rawLeaves, engine, assets, identities, desk }: Domain,
  sessions: Sessions,
  parts: {
    readonly heads: SealedHeads
    readonly warehouse: OpenWarehouse | undefined
    readonly projection: Projection | undefined
    readonly health: () => Promise<Health>
    readonly witnessed?: WitnessedCheckpoints | undefined
    readonly verifier?: LedgerVerifier | undefined
  },
): ApiParts {
  const { heads, warehouse, projection, health, witnessed, verifier } = parts
  return {
    ledger: view,
    heads,
    desk,
    identities,
    sessions,
    recorder,
    clients,
    rawLeaves,
    policies: engine,
    assets: createAssetViews(view, assets),
    queries: {
      query: async (sql, parameters) =>
        warehouse === undefined ? noFacts() : warehouse.warehouse.query(sql, parameters),
    },
    projections: projection ?? { progress: () => [], rebuild: async () => noFacts() },
    health,
    ...(witnessed === undefined ? {} : { witnessed }),
    ...(verifier === undefined ? {} : { verifier }),
  }
}
