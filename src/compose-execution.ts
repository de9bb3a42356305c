import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createProcessController } from './assets/adapters/process.js'
import type { FactChecks } from './api/parts.js'
import type { Domain, Projection, ServiceIo } from './compose.js'
import type { Ledger } from './ledger/ledger.js'
import { startTemporalServer, type TemporalServer } from './runtime/adapters/temporal-server.js'
import {
  createRuntimeAssetControlService,
  type RuntimeAssetControlService,
} from './runtime/asset-control.js'
import { observeChanges } from './runtime/asset-observer.js'
import type { Closing } from './runtime/closing.js'
import type { Component, Config } from './runtime/config.js'
import type { DataFolder } from './runtime/data-folder.js'
import { createExecution } from './runtime/execution.js'
import { createExecutionActivities } from './runtime/execution-activities.js'
import { createFactActivities } from './runtime/fact-activities.js'
import { createLedgerActivities } from './runtime/ledger-activities.js'
import type { Log } from './runtime/log.js'
import { createOpenProposals, type OpenProposals } from './runtime/open-proposals.js'
import { followProposals } from './runtime/proposal-follower.js'
import { currentWriter } from './runtime/side-effects.js'
import { ledgerQueue } from './runtime/step-names.js'
import { createWorkflowStarter, type WorkflowStarter } from './runtime/workflow-starter.js'

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
  parts: {
    config: Config
    folder: DataFolder
    log: Log
    closing: Closing
    projection?: Projection | undefined
  },
) {
  const { config, folder, log, closing, projection } = parts
  const { view, desk, assets, now } = domain
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
    ...(runs('worker') ? { ledger: ledgerActivities(domain, { open, starter, control }) } : {}),
    ...(runs('worker') && projection !== undefined
      ? { facts: createFactActivities({ reader: view, facts: projection }) }
      : {}),
    ...(runs('execution-runtime')
      ? { execution: createExecutionActivities({ reader: view, control, now }) }
      : {}),
  })
  // The reverse of this order: nothing new begins, attempts are drained, then processes are ended.
  closing.add('asset control', () => control.close())
  closing.add('execution', () => execution.close())
  if (runs('worker')) {
    const follower = followProposals({ reader: view, desk, open, starter, log })
    onAvailable.push(() => follower.executionIsBack())
    closing.add('proposal follower', () => follower.close())
  }
  if (runs('execution-runtime')) {
    const observer = observeChanges({ starter, log, newId: randomUUID })
    onAvailable.push(() => observer.executionIsBack())
    closing.add('asset observer', () => observer.close())
    void control.watchAll((project, assetId) => observer.changed({ project, assetId }))
  }
  return { execution, factChecks: runs('worker') ? factChecksOf(starter, projection) : undefined }
}

const factChecksOf = (
  starter: WorkflowStarter,
  projection: Projection | undefined,
): FactChecks | undefined =>
  projection && {
    request: (id, wish) => starter.startFactCheck(id, wish),
    running: projection.checking,
  }

const ledgerActivities = (
  { view, desk, decider, workers, now }: Domain,
  parts: {
    readonly open: OpenProposals
    readonly starter: WorkflowStarter
    readonly control: RuntimeAssetControlService
  },
) =>
  createLedgerActivities({
    reader: view,
    desk,
    enforce: (project, id) => decider.enforce(project, id),
    open: parts.open,
    starter: parts.starter,
    assets: () => parts.control.assetsToObserve(),
    workers,
    now,
  })
