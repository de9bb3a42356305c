import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { AssetSpec, ProcessSpec } from '../../contracts/asset.js'
import { EvidenceError } from '../../contracts/errors.js'
import type { ControlledAsset, RuntimeAssetController } from '../controller.js'
import { converge } from './process-converge.js'
import { endReplicas } from './process-ending.js'
import { assetFiles, boundLog, defaultPath, findCommand, isFolder } from './process-files.js'
import { healthUrlOf } from './process-health.js'
import { portsInUse } from './process-listeners.js'
import { isOfAsset, observeProcess, portOf } from './process-look.js'
import { scanReplicas } from './process-table.js'
import { watchProcesses } from './process-watch.js'

const healthBoundMsDefault = 10_000
const closeGraceMs = 1_500
const closeWaitMs = 500
const exitsKeptMax = 1_000
const loopbackHosts = ['127.0.0.1', '[::1]']

export interface ProcessControllerOptions {
  /** Where configurations and logs of assets go. */
  readonly folder: string
  /** Unique to the ledger: assets of another ledger on this machine are never touched. */
  readonly namespace: string
  readonly now: () => number
  /** The folder against which a relative `folder` of a specification is resolved. */
  readonly root: string
  /** Where commands are looked for; also the PATH of the processes. */
  readonly path?: string
  /** How long a replica may take to become healthy. */
  readonly healthBoundMs?: number
  readonly log?: {
    warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  }
}

type Known = Pick<ControlledAsset, 'project' | 'assetId' | 'spec'> & { readonly replicas: number }

/** Controls supervised local processes. It needs the /proc of Linux. */
export function createProcessController(options: ProcessControllerOptions): RuntimeAssetController {
  const { namespace, now, root, path = defaultPath } = options
  const folder = resolve(options.folder)
  const known = new Map<string, Known>()
  const exits = new Map<number, string>()
  const working = new Set<Promise<unknown>>()
  const closing = new AbortController()
  const keyOf = ({ project, assetId }: Pick<Known, 'project' | 'assetId'>) =>
    `${project}/${assetId}`
  const filesOf = ({ project, assetId }: Pick<Known, 'project' | 'assetId'>) =>
    assetFiles(folder, project, assetId)
  const folderOf = (spec: ProcessSpec) => resolve(root, spec.folder)

  const watch = watchProcesses(
    async () => {
      for (const asset of known.values()) {
        for (let index = 0; index < asset.replicas; index += 1)
          await boundLog(filesOf(asset).log(index))
      }
    },
    (error) => options.log?.warn('processes could not be looked at', { error: String(error) }),
  )

  const remember = (asset: ControlledAsset, desired = asset.state.desired) =>
    known.set(keyOf(asset), {
      project: asset.project,
      assetId: asset.assetId,
      spec: asset.spec,
      replicas: desired.replicas,
    })

  /** The living replicas, as far as the machine tells; what it does not tell is not watched. */
  const leadersSeen = async (asset: Pick<Known, 'project' | 'assetId'>) => {
    try {
      const replicas = (await scanReplicas(namespace)).filter(isOfAsset(asset))
      return replicas.flatMap(({ leader }) => (leader === null ? [] : [leader]))
    } catch (error) {
      options.log?.warn('an asset is not watched', { asset: asset.assetId, error: String(error) })
      return []
    }
  }

  const exited = (pid: number, how: string) => {
    if (exits.size >= exitsKeptMax) exits.clear()
    exits.set(pid, how)
    watch.exited(pid)
  }

  return {
    kind: 'process',

    async check(_assetId, spec) {
      await checkSpec(spec, { folder: folderOf(spec), path, others: [...known.values()] })
    },

    async observe(asset) {
      remember(asset)
      return available(() => observeProcess(asset, { namespace, files: filesOf(asset), now }))
    },

    async apply(asset, mutation) {
      remember(asset, mutation.desired)
      watch.hold(keyOf(asset))
      const work = available(() =>
        converge(asset, mutation, {
          namespace,
          files: filesOf(asset),
          workingFolder: folderOf(asset.spec),
          path,
          healthBoundMs: options.healthBoundMs ?? healthBoundMsDefault,
          now,
          closing: closing.signal,
          spawned: ({ pid }) => exits.delete(pid),
          exited,
          exitOf: (pid) => exits.get(pid),
        }),
      )
      working.add(work)
      try {
        return await work
      } finally {
        working.delete(work)
        watch.release(keyOf(asset), await leadersSeen(asset))
      }
    },

    watch(asset, changed) {
      remember(asset)
      watch.add(keyOf(asset), changed)
      void leadersSeen(asset).then((leaders) => watch.found(keyOf(asset), leaders))
    },

    async close() {
      closing.abort()
      watch.close()
      // What is being applied stops at its next safe place; nothing is spawned from here on.
      await Promise.race([Promise.allSettled(working), pause(closeWaitMs)])
      const ending = new Set(
        [...known.values()].filter(({ spec }) => spec.lifetime === 'supervisor').map(keyOf),
      )
      await endReplicas({
        namespace,
        now,
        graceMs: closeGraceMs,
        isMeant: ({ name }) => ending.has(keyOf(name)),
      })
    },
  }
}

/** An error of the operating system becomes one that a later attempt may not meet. */
async function available<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof EvidenceError) throw error
    if (!(error instanceof Error && 'code' in error)) throw error
    throw new EvidenceError(
      'CONTROLLER_UNAVAILABLE',
      `the machine answered ${String(error.code)}`,
      {
        cause: error,
      },
    )
  }
}

const refuse = (field: string, detail: string): never => {
  throw new EvidenceError('CONTROLLER_REFUSED', `${field}: ${detail}`, {
    fields: [{ pointer: `/spec/${field}`, detail }],
  })
}

async function checkSpec(
  spec: AssetSpec,
  {
    folder,
    path,
    others,
  }: { readonly folder: string; readonly path: string; readonly others: readonly Known[] },
): Promise<void> {
  if (!(await isFolder(folder))) refuse('folder', `there is no folder ${spec.folder}`)
  if ((await findCommand(spec.command, folder, path)) === undefined) {
    refuse('command', `no program ${spec.command} is found`)
  }
  if (!loopbackHosts.includes(healthUrlOf(spec.health_url, spec.base_port).hostname)) {
    refuse('health_url', 'it is not on loopback')
  }
  const first = portOf(spec, 0)
  const last = portOf(spec, spec.replicas - 1)
  const other = others.find(
    (one) => one.spec.base_port <= last && first <= portOf(one.spec, one.replicas - 1),
  )
  if (other !== undefined) {
    refuse('base_port', `the ports ${first} to ${last} overlap those of the asset ${other.assetId}`)
  }
  const inUse = await portsInUse()
  for (let port = first; port <= last; port += 1) {
    if (inUse.has(port)) refuse('base_port', `somebody listens on port ${port}`)
  }
}
