import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createSessions } from '../api/sessions.js'
import type { Health } from '../api/parts.js'
import type { Offline, RunUp } from '../cli/offline.js'
import {
  type Domain,
  openDomain,
  type OpenWarehouse,
  openWarehouse,
  type Projection,
  type ServiceIo,
  startApi,
  startProjection,
} from '../compose.js'
import { openTemporal, startExecution } from '../compose-execution.js'
import { startGrpc } from '../compose-grpc.js'
import { openLedger } from '../compose-ledger.js'
import { offlineHeads, startSealer } from '../compose-heads.js'
import { startLiveTable } from '../compose-live.js'
import { startVerification } from '../compose-verify.js'
import { openLedgerElsewhere } from '../compose-remote.js'
import { startWitness } from '../compose-witness.js'
import { rotateKey } from '../compose-keys.js'
import { startWitnessing } from '../compose-witnessing.js'
import { EvidenceError } from '../contracts/errors.js'
import type { HudView } from '../contracts/http.js'
import { fsck } from '../ledger/adapters/fsck.js'
import { lockFolder } from '../ledger/adapters/folder-lock.js'
import { openJournalReadOnly } from '../ledger/adapters/open-journal.js'
import type { Ledger } from '../ledger/ledger.js'
import type { SealedHeads } from '../ledger/sealed-heads.js'
import type { OpenMovableStore } from '../ledger/movable-store.js'
import { openServiceLog } from './adapters/service-log.js'
import { ownWorkerIdentity } from './adapters/worker-certificate.js'
import { temporalExecutable } from './adapters/temporal-executable.js'
import type { LedgerVerifier } from '../ledger/verification.js'
import type { WitnessedCheckpoints } from '../ledger/witnessed.js'
import { type Closing, createClosing } from './closing.js'
import { type Component, type Config, formatHostPort } from './config.js'
import {
  type Addresses,
  type DataFolder,
  dataFolder,
  openDataFolder,
  publishAddresses,
  sessionKey,
  withdrawAddresses,
} from './data-folder.js'
import { factHealth, lastChecks } from './fact-check-view.js'
import type { Execution } from './execution.js'
import type { LiveTableFollower } from './live-table.js'
import type { Log } from './log.js'
import { verificationHealth } from './verify-health.js'
import { witnessHealth } from './witness-health.js'
import { createOpenProposals } from './open-proposals.js'
import { followProposals } from './proposal-follower.js'

/** How often `addresses.json` is compared with where parts listen: Temporal may come later. */
const addressLookMs = 250

/** The product, running. */
export interface RunningProduct {
  addresses(): Addresses
  health(): Promise<Health>
  close(): Promise<void>
}

/** How every part stands; the service is ready when the ledger takes events. */
function createHealth(
  ledger: Ledger,
  parts: {
    readonly warehouse: OpenWarehouse | undefined
    readonly projection: Projection | undefined
    readonly execution: Execution | undefined
    readonly witnessed: WitnessedCheckpoints | undefined
    readonly verifier: LedgerVerifier | undefined
    readonly liveTable: LiveTableFollower | undefined
  },
) {
  return async () => {
    const readOnly = ledger.readOnly()
    const alarms = ledger.alarms()
    const lack = ledger.lacksSpace()
    const size = ledger.size()
    const shown: HudView['parts'] = [
      readOnly === null
        ? {
            name: 'ledger',
            status: alarms.length > 0 || lack !== null ? 'lagging' : 'ok',
            detail:
              [...alarms, ...(lack === null ? [] : [lack])]
                .map(({ message }) => message)
                .join('; ') ||
              (ledger.interoperability
                ? `${size} leaves; created for interoperability`
                : `${size} events`),
          }
        : { name: 'ledger', status: 'down', detail: readOnly.message },
    ]
    const { warehouse, projection, execution } = parts
    if (warehouse?.child !== undefined)
      shown.push({ name: 'warehouse', ...warehouse.child.status() })
    if (projection !== undefined) {
      const { status, detail } = projection.status()
      shown.push({ name: 'projector', status, detail })
      const tables = projection.progress().map(({ table }) => table)
      shown.push(factHealth(await lastChecks(ledger, tables)))
    }
    if (execution !== undefined) shown.push({ name: 'execution', ...execution.status() })
    const witnesses = parts.witnessed && witnessHealth(parts.witnessed, ledger.checkpoint().size)
    if (witnesses !== undefined) shown.push(witnesses.part)
    if (parts.liveTable !== undefined)
      shown.push({ name: 'live table', ...parts.liveTable.status() })
    if (parts.verifier !== undefined) shown.push(verificationHealth(parts.verifier.status(), size))
    return { ready: readOnly === null && witnesses?.ready !== false, parts: shown }
  }
}

/**
 * Starts everything that the configuration names, in the order in which parts need each other. What was
 * started is ended again when a later part cannot start.
 *
 * @throws EvidenceError DATA_FOLDER_INVALID, LEDGER_LOCKED, JOURNAL_DAMAGED, POLICY_INVALID, ADDRESS_IN_USE.
 */
export async function startProduct(config: Config, io: ServiceIo): Promise<RunningProduct> {
  if (config.components.every((component) => component === 'witness'))
    return startWitnessAlone(config, io)
  const folder = await openDataFolder(config.data)
  const log = openServiceLog(join(folder.path, 'service.log'))
  const closing = createClosing(log)
  try {
    return await startParts(config, io, { folder, log, closing })
  } catch (error) {
    await closing.closeAll()
    throw error
  }
}

const nowhere: Addresses = { http: null, warehouse: null, grpc: null, temporal: null }

/** A process of a witness alone touches no data folder: all that it keeps is in its own. */
async function startWitnessAlone(config: Config, io: ServiceIo): Promise<RunningProduct> {
  const state = config.witness?.state ?? ''
  await mkdir(state, { recursive: true, mode: 0o700 })
  const log = openServiceLog(join(state, 'service.log'))
  const closing = createClosing(log)
  try {
    await runWitness(config, io, log, closing)
  } catch (error) {
    await closing.closeAll()
    throw error
  }
  let closed: Promise<void> | undefined
  return {
    addresses: () => nowhere,
    health: async () => ({ ready: true, parts: [] }),
    close: () => (closed ??= closing.closeAll()),
  }
}

/** Starts the witness of this process and says where it is; its addresses stand in its own folder. */
async function runWitness(config: Config, io: ServiceIo, log: Log, closing: Closing) {
  const place = dataFolder(config.witness?.state ?? '')
  await withdrawAddresses(place)
  const { url, vkey } = await startWitness(config, log, closing)
  await publishAddresses(place, { witness: url })
  closing.add('witness address', () => withdrawAddresses(place))
  io.say(`witness   ${url}\n  its key  ${vkey}`)
}

async function startParts(
  config: Config,
  io: ServiceIo,
  { folder, log, closing }: { folder: DataFolder; log: Log; closing: Closing },
): Promise<RunningProduct> {
  const runs = (...components: readonly Component[]) =>
    components.some((component) => config.components.includes(component))
  const { ledger, heads, witnessed, verifier } = runs('ledger')
    ? await openOwnLedger(config, folder, { log, closing })
    : await ledgerElsewhere(config, folder, io, { log, closing })
  await withdrawAddresses(folder)
  const domain = openDomain(ledger)
  const sessions = createSessions({
    key: await sessionKey(folder),
    identities: domain.identities,
    now: domain.now,
  })

  // The entrances ask a warehouse elsewhere, if one is named, and no other.
  const warehouse = runs(
    'warehouse',
    'projector',
    ...(config.warehouse.embedded ? [] : ['api' as const]),
  )
    ? await openWarehouse(config, folder, log, closing)
    : undefined
  const temporal = runs('worker', 'execution-runtime')
    ? await openTemporal(config, folder, io, closing)
    : undefined
  const projection =
    warehouse !== undefined && runs('projector')
      ? startProjection(domain, warehouse, log, closing)
      : undefined
  const { execution, factChecks } =
    temporal === undefined
      ? {}
      : startExecution(ledger, domain, temporal, { config, folder, log, closing, projection })
  // Where there is no worker beside the ledger, proposals still move on as far as that needs none.
  if (runs('ledger') && !runs('worker')) followAlone(domain, log, closing)
  const liveTable = runs('api') ? startLiveTable(config, domain, io, { log, closing }) : undefined
  const asked = { warehouse, projection, execution, witnessed, verifier, liveTable }
  const health = createHealth(ledger, asked)
  const api = runs('api')
    ? await startApi(config, domain, {
        heads,
        sessions,
        warehouse,
        projection,
        factChecks,
        health,
        witnessed,
        verifier,
        closing,
      })
    : undefined
  const grpc = runs('ledger')
    ? await startGrpc(config, ledger, domain, { heads, folder, log, closing })
    : undefined
  if (runs('witness')) await runWitness(config, io, log, closing)
  return publish({
    folder,
    closing,
    health,
    addresses: () => ({
      http: api?.url ?? null,
      warehouse: warehouse?.child?.url ?? null,
      grpc: grpc === undefined ? null : formatHostPort(grpc),
      temporal: temporal?.server?.address() ?? null,
    }),
  })
}

/** The ledger and what only the process that has it does for it. */
interface LedgerOfProcess {
  readonly ledger: Ledger
  readonly heads: SealedHeads
  readonly witnessed: WitnessedCheckpoints | undefined
  readonly verifier: LedgerVerifier | undefined
}

async function openOwnLedger(
  config: Config,
  folder: DataFolder,
  { log, closing }: { log: Log; closing: Closing },
): Promise<LedgerOfProcess> {
  const { ledger, ownLog } = await openLedger(config, folder, log)
  closing.add('ledger', () => ledger.close())
  const witnessed = await startWitnessing(ledger, ownLog, config, { log, closing })
  const { heads } = await startSealer(ledger, ownLog.folder, { log, closing })
  const verifier = await startVerification(ledger, ownLog, config.verifier, { log, closing })
  return { ledger, heads, witnessed, verifier }
}

async function ledgerElsewhere(
  config: Config,
  folder: DataFolder,
  io: ServiceIo,
  parts: { log: Log; closing: Closing },
): Promise<LedgerOfProcess> {
  const ledger = await openLedgerElsewhere(config, folder, io, parts)
  return { ledger, heads: ledger.heads, witnessed: undefined, verifier: undefined }
}

/** Proposals move on as far as that needs no execution. */
function followAlone({ view, desk }: Domain, log: Log, closing: Closing): void {
  const follower = followProposals({ reader: view, desk, open: createOpenProposals(view), log })
  closing.add('followers', () => follower.close())
}

/** Tells others where everything listens, from now to the end; Temporal may come later. */
async function publish(parts: {
  readonly folder: DataFolder
  readonly closing: Closing
  readonly health: RunningProduct['health']
  readonly addresses: () => Addresses
}): Promise<RunningProduct> {
  const { folder, closing, health, addresses } = parts
  let published = ''
  const tell = async () => {
    const present = addresses()
    if (JSON.stringify(present) === published) return
    await publishAddresses(folder, present)
    published = JSON.stringify(present)
  }
  await tell()
  let telling = Promise.resolve()
  const timer = setInterval(() => {
    telling = telling.then(tell)
  }, addressLookMs)
  closing.add('addresses', async () => {
    clearInterval(timer)
    await telling
    await withdrawAddresses(folder)
  })
  let closed: Promise<void> | undefined
  return {
    addresses,
    health,
    close: () => (closed ??= closing.closeAll()),
  }
}

/** Starts the service for a command, which says where it is and what to do next. */
export const runUp: RunUp = async (config, io) => {
  const product = await startProduct(
    { ...config, installTemporal: config.installTemporal || io.install },
    { say: io.out, environment: process.env },
  )
  let end = () => {}
  const closed = new Promise<void>((done) => (end = done))
  return {
    closed,
    async close() {
      await product.close()
      end()
    },
  }
}

/** Loaded with its use: no other command needs the client package, whose messages are many. */
export const openMovable: OpenMovableStore = async (connection) =>
  (await import('../ledger/adapters/esdb-movable.js')).openEsdbMovable(connection)

/** What commands do with a data folder while no service runs on it. */
export const offline: Offline = {
  async open(data) {
    const view = await openJournalReadOnly({ folder: dataFolder(data).ledger })
    const sealed = await offlineHeads(view, dataFolder(data).ledger)
    return {
      reader: view,
      proofs: view,
      heads: sealed.heads,
      async close() {
        await sealed.close()
        await view.close()
      },
    }
  },
  fsck: (data, { onNotice, ...wish }, onProgress) =>
    fsck(
      {
        ...wish,
        folder: dataFolder(data).ledger,
        statePath: join(dataFolder(data).path, 'fsck.json'),
        onNotice,
      },
      onProgress,
    ),
  rotateKey,
  workerIdentity: async (data) => ownWorkerIdentity((await openDataFolder(data)).keys, Date.now()),
  async isLocked(data) {
    try {
      await (await lockFolder(dataFolder(data).ledger, 'shared')).release()
      return false
    } catch (error) {
      if (error instanceof EvidenceError && error.code === 'LEDGER_LOCKED') return true
      throw error
    }
  },
  findTemporal: async () => {
    try {
      return await temporalExecutable({
        environment: process.env,
        install: false,
        say: () => undefined,
        signal: new AbortController().signal,
      })
    } catch (error) {
      if (error instanceof EvidenceError && error.code === 'EXECUTION_UNAVAILABLE') return null
      throw error
    }
  },
}
