import type { ProcessReplica, ProcessSpec, ProcessState } from '../../contracts/asset.js'
import { replicasMax } from '../../contracts/asset.js'
import type { ControlledAsset, Observation } from '../controller.js'
import { jsonSha256 } from '../state.js'
import { type AssetFiles, configurationDigest } from './process-files.js'
import { askHealth, type HealthAnswer, healthUrlOf, isHealthy } from './process-health.js'
import { inWords, type Listener, listenersOf } from './process-listeners.js'
import { type ReplicaProcesses, scanReplicas } from './process-table.js'

/** What a look at one replica found, and what speaks against calling it healthy. */
export interface ReplicaLook {
  readonly health: HealthAnswer
  readonly listeners: readonly Listener[]
  /** Why its listeners are not acceptable; null when all are seen and on loopback. */
  readonly violation: string | null
  readonly healthy: boolean
}

const evidenceListenersMax = 32
const absent: HealthAnswer = { error: 'the replica has no process' }

export const portOf = (spec: ProcessSpec, index: number): number => spec.base_port + index

export const isOfAsset =
  ({ project, assetId }: Pick<ControlledAsset, 'project' | 'assetId'>) =>
  ({ name }: ReplicaProcesses): boolean =>
    name.project === project && name.assetId === assetId

async function lookAtListeners(
  replica: ReplicaProcesses,
): Promise<Pick<ReplicaLook, 'listeners' | 'violation'>> {
  try {
    const listeners = await listenersOf(replica.members)
    const outside = listeners.find(({ isLoopback }) => !isLoopback)
    const violation =
      outside === undefined ? null : `it listens outside loopback, on ${inWords(outside)}`
    return { listeners, violation }
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return { listeners: [], violation: `where it listens cannot be seen (${why})` }
  }
}

/** Asks a replica for its health and looks at its listeners: only its own answer on its own port counts. */
export async function lookAtReplica(
  spec: ProcessSpec,
  replica: ReplicaProcesses,
): Promise<ReplicaLook> {
  const port = portOf(spec, replica.name.index)
  const health = await askHealth(healthUrlOf(spec.health_url, port))
  const { listeners, violation } = await lookAtListeners(replica)
  const answersItself = listeners.some((listener) => listener.port === port)
  const healthy =
    isHealthy(health) && answersItself && violation === null && replica.leader !== null
  return { health, listeners, violation, healthy }
}

const slots = (desired: ProcessState['desired'], seen: readonly ReplicaProcesses[]) => {
  const wanted = desired.run_state === 'running' ? desired.replicas : 0
  const indexes = Array.from({ length: wanted }, (_, index) => index)
  const present = seen.toSorted(
    (a, b) => a.name.index - b.name.index || (a.name.generation < b.name.generation ? -1 : 1),
  )
  const missing = indexes.filter((index) => !present.some(({ name }) => name.index === index))
  return [
    ...present.map((replica) => ({ index: replica.name.index, replica })),
    ...missing.map((index) => ({ index, replica: undefined })),
  ]
    .sort((a, b) => a.index - b.index)
    .slice(0, replicasMax * 2)
}

/** The present state of an asset: its processes, their health and their listeners, with the proof of it. */
export async function observeProcess(
  asset: ControlledAsset,
  context: { readonly namespace: string; readonly files: AssetFiles; readonly now: () => number },
): Promise<Observation> {
  const { spec } = asset
  const { desired } = asset.state
  const seen = (await scanReplicas(context.namespace)).filter(isOfAsset(asset))
  const looks = await Promise.all(
    slots(desired, seen).map(async ({ index, replica }) => ({
      index,
      replica,
      look: replica && (await lookAtReplica(spec, replica)),
    })),
  )
  const replicas = looks.map(({ index, replica, look }): ProcessReplica => ({
    index,
    port: portOf(spec, index),
    pid: replica?.leader?.pid ?? null,
    start_time: replica?.leader?.startTime ?? null,
    healthy: look?.healthy ?? false,
  }))
  const isWanted = looks.every(
    ({ index, replica, look }) =>
      index < desired.replicas &&
      look?.healthy === true &&
      replica?.name.generation === desired.generation,
  )
  const isComplete = isWanted && replicas.length === desired.replicas
  const isStopped = desired.run_state === 'stopped' && replicas.length === 0
  const evidence = {
    observed_at: new Date(context.now()).toISOString(),
    spec_sha256: jsonSha256(spec),
    configuration_sha256: await configurationDigest(context.files),
    replicas: looks.map(({ index, replica, look }) => ({
      index,
      port: portOf(spec, index),
      generation: replica?.name.generation ?? null,
      pid: replica?.leader?.pid ?? null,
      start_time: replica?.leader?.startTime ?? null,
      processes: replica?.members.length ?? 0,
      health: look?.health ?? absent,
      listeners: (look?.listeners ?? []).slice(0, evidenceListenersMax).map(inWords),
      violation: look?.violation ?? null,
    })),
  }
  const runState = isStopped
    ? 'stopped'
    : desired.run_state === 'running' && isComplete
      ? 'running'
      : 'degraded'
  return { state: { kind: 'process', desired, run_state: runState, replicas }, evidence }
}
