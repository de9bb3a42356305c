import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { ApiParts, FactChecks, Health } from './api/parts.js'
import { buildServer } from './api/server.js'
import type { Sessions } from './api/sessions.js'
import { createAssetDirectory } from './assets/directory.js'
import { openLineage } from './compose-lineage.js'
import { EvidenceError } from './contracts/errors.js'
import type { Ledger } from './ledger/ledger.js'
import type { RawLeafWriter } from './ledger/raw-leaf.js'
import type { SealedHeads } from './ledger/sealed-heads.js'
import type { LedgerVerifier } from './ledger/verification.js'
import type { WitnessedCheckpoints } from './ledger/witnessed.js'
import { createClientWriter, createLedgerWriter, createRecordWriter } from './ledger/writers.js'
import { openClickHouse } from './projections/adapters/clickhouse.js'
import { startWarehouse } from './projections/adapters/warehouse-child.js'
import { projectors } from './projections/tables.js'
import { createCedarEngine } from './proposals/adapters/cedar.js'
import { createDecider } from './proposals/decision.js'
import { createProposalDesk } from './proposals/desk.js'
import { createProposalDirectory } from './proposals/directory.js'
import { createActivePolicies } from './proposals/policies.js'
import { createWorkerDirectory } from './proposals/worker-directory.js'
import { createAssetViews } from './runtime/asset-view.js'
import type { Config } from './runtime/config.js'
import type { Closing } from './runtime/closing.js'
import type { DataFolder } from './runtime/data-folder.js'
import { foldedElsewhere } from './runtime/folded-elsewhere.js'
import { createIdentities } from './runtime/identities.js'
import { readingView } from './runtime/ledger-view.js'
import { checkFacts, type CheckWish, type TableCheck } from './runtime/fact-check.js'
import type { Log } from './runtime/log.js'
import { followFacts } from './runtime/project.js'
import { createStalledRecord } from './runtime/stalled-record.js'

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
  const workers = createWorkerDirectory(view)
  const policies = createActivePolicies(view, engine)
  const identities = createIdentities(view, recorder, now)
  const accessOf = async (project: string, name: string) => {
    const found = (await identities.list(project)).find((identity) => identity.name === name)
    if (found === undefined || found.revoked) return undefined
    return found.expiresAt !== undefined && Date.parse(found.expiresAt) <= now()
      ? undefined
      : found.access
  }
  const decider = createDecider({ assets, workers, policies, accessOf, proposals })
  const desk = createProposalDesk({
    reader: view,
    writer: recorder,
    assets,
    workers,
    proposals,
    decider,
    now,
    newId: randomUUID,
  })
  return {
    view,
    recorder,
    clients: createClientWriter(ledger),
    // Of the ledger's own events; the entrances are not handed it.
    ownWriter: createLedgerWriter(ledger),
    // Bound to this one way of writing: nothing else of the ledger is reachable from it.
    rawLeaves: rawLeavesOf(ledger),
    interoperability: ledger.interoperability,
    engine,
    assets,
    workers,
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

/** The follower of the fact tables, which a rebuild ends and begins anew. */
export function startProjection(
  domain: Domain,
  { warehouse }: OpenWarehouse,
  log: Log,
  closing: Closing,
) {
  const parts = { reader: domain.view, proofs: domain.view, warehouse, projectors, log }
  const onStalled = createStalledRecord({
    reader: domain.view,
    writer: domain.ownWriter,
    newId: randomUUID,
    log,
  })
  const begin = () => {
    const ending = new AbortController()
    return { ending, follower: followFacts({ ...parts, onStalled, signal: ending.signal }) }
  }
  let running = begin()
  let rebuilding = Promise.resolve()
  let checking: { readonly position: number; readonly size: number } | null = null
  const end = async () => {
    running.ending.abort()
    await running.follower.done
  }
  closing.add('projector', end)
  return {
    status: () => running.follower.status(),
    progress: () =>
      projectors.map(({ table }) => ({ table, position: running.follower.position() })),
    /** The check that runs now, and how far it is. */
    checking: () => checking,
    async check(wish: CheckWish): Promise<readonly TableCheck[]> {
      const { signal } = running.ending
      const onProgress = (at: { position: number; size: number }) => (checking = at)
      return checkFacts({ ...parts, ...wish, signal, onProgress }).finally(() => (checking = null))
    },
    refold: (table: string) => running.follower.rebuild([table]),
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

const projectionControl = (
  projection: Projection | undefined,
  warehouse: OpenWarehouse | undefined,
) => {
  if (projection !== undefined)
    return { progress: projection.progress, rebuild: () => projection.rebuild() }
  return warehouse === undefined
    ? { progress: () => [], rebuild: async () => noFacts() }
    : foldedElsewhere(warehouse.warehouse)
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
    readonly factChecks?: FactChecks | undefined
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
    readonly factChecks?: FactChecks | undefined
    readonly health: () => Promise<Health>
    readonly witnessed?: WitnessedCheckpoints | undefined
    readonly verifier?: LedgerVerifier | undefined
  },
): ApiParts {
  const { heads, warehouse, projection, factChecks, health, witnessed, verifier } = parts
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
    ...openLineage({ view, desk }),
    assets: createAssetViews(view, assets),
    queries: {
      query: async (sql, parameters) =>
        warehouse === undefined ? noFacts() : warehouse.warehouse.query(sql, parameters),
    },
    projections: projectionControl(projection, warehouse),
    ...(factChecks === undefined ? {} : { factChecks }),
    health,
    ...(witnessed === undefined ? {} : { witnessed }),
    ...(verifier === undefined ? {} : { verifier }),
  }
}
