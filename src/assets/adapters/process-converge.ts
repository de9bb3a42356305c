import { spawn } from 'node:child_process'
import { mkdir, open } from 'node:fs/promises'
import { homedir } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { ProcessState } from '../../contracts/asset.js'
import { EvidenceError } from '../../contracts/errors.js'
import type { Applied, ControlledAsset, Mutation } from '../controller.js'
import { textSha256 } from '../state.js'
import { endReplicas } from './process-ending.js'
import {
  type AssetFiles,
  boundLog,
  configurationDigest,
  findCommand,
  isFolder,
  writeConfiguration,
} from './process-files.js'
import { healthInWords, healthUrlOf } from './process-health.js'
import { portsInUse } from './process-listeners.js'
import { isOfAsset, lookAtReplica, portOf } from './process-look.js'
import {
  isAlive,
  markerOf,
  markerVariable,
  type ProcessName,
  processWithPid,
  type ReplicaProcesses,
  scanReplicas,
} from './process-table.js'

const healthIntervalMs = 100
const endGraceMs = 5_000

/** What bringing an asset to its wanted state needs from its controller. */
export interface Convergence {
  readonly namespace: string
  readonly files: AssetFiles
  /** The folder of the specification, made absolute. */
  readonly workingFolder: string
  readonly path: string
  readonly healthBoundMs: number
  readonly now: () => number
  /** Aborted when the service stops: nothing is spawned from then on. */
  readonly closing: AbortSignal
  /** Told of each process that was spawned, and of how it exited. */
  readonly spawned: (process: ProcessName) => void
  readonly exited: (pid: number, how: string) => void
  /** How a process that we spawned exited; undefined when nobody told. */
  readonly exitOf: (pid: number) => string | undefined
}

/** A reason to stop that is the outcome of the mutation. */
class Refusal extends Error {}

const refuse = (reason: string): never => {
  throw new Refusal(reason)
}

/** Brings the asset to what is wanted, one replica after another; again after a crash it goes on. */
export async function converge(
  asset: ControlledAsset,
  mutation: Mutation,
  context: Convergence,
): Promise<Applied> {
  try {
    const { desired } = mutation
    await bringConfiguration(asset, mutation, context)
    if (desired.run_state === 'stopped') {
      await end(asset, mutation, context, () => true)
      return { outcome: 'reached' }
    }
    await end(asset, mutation, context, ({ name }) => name.index >= desired.replicas)
    for (let index = 0; index < desired.replicas; index += 1) {
      await bringReplica(asset, mutation, context, index)
    }
    return { outcome: 'reached' }
  } catch (error) {
    if (error instanceof Refusal) return { outcome: 'failed', reason: error.message }
    throw error
  }
}

function stopIfAsked(mutation: Mutation, context: Convergence): void {
  if (context.closing.aborted) {
    throw new EvidenceError('CONTROLLER_UNAVAILABLE', 'the service is stopping')
  }
  if (mutation.signal.aborted) refuse('it was cancelled while it worked')
}

async function bringConfiguration(
  asset: ControlledAsset,
  { operation, parameters, desired }: Mutation,
  { files }: Convergence,
): Promise<void> {
  if ((await configurationDigest(files)) === desired.configuration_sha256) return
  const given = operation === 'configure' ? parameters['configuration'] : asset.configuration
  if (typeof given !== 'string' || textSha256(given) !== desired.configuration_sha256) {
    return refuse('the wanted configuration is no longer known: propose configure')
  }
  await writeConfiguration(files, given)
}

async function end(
  asset: ControlledAsset,
  { progress }: Mutation,
  { namespace, now }: Convergence,
  isMeant: (replica: ReplicaProcesses) => boolean,
): Promise<void> {
  const ours = isOfAsset(asset)
  const ended = await endReplicas({
    namespace,
    now,
    progress,
    graceMs: endGraceMs,
    isMeant: (replica) => ours(replica) && isMeant(replica),
  })
  if (!ended) refuse('processes of earlier replicas do not end')
}

async function bringReplica(
  asset: ControlledAsset,
  mutation: Mutation,
  context: Convergence,
  index: number,
): Promise<void> {
  stopIfAsked(mutation, context)
  const isKept = ({ name, leader }: ReplicaProcesses) =>
    name.generation === mutation.desired.generation && leader !== null
  await end(asset, mutation, context, (one) => one.name.index === index && !isKept(one))
  const find = async () =>
    (await scanReplicas(context.namespace)).find(
      (one) => isOfAsset(asset)(one) && one.name.index === index && isKept(one),
    )
  const running = await find()
  if (running?.leader) return awaitHealthy(asset, mutation, context, running.leader, index)
  stopIfAsked(mutation, context)
  const started = await start(asset, mutation.desired, context, index)
  await awaitHealthy(asset, mutation, context, started, index)
}

/** Spawns one replica; a crash right after leaves a process that its marker finds again. */
async function start(
  asset: ControlledAsset,
  desired: ProcessState['desired'],
  context: Convergence,
  index: number,
): Promise<ProcessName> {
  const { spec, project, assetId } = asset
  const port = portOf(spec, index)
  if ((await portsInUse()).has(port)) refuse(`replica ${index}: port ${port} is in use`)
  if (!(await isFolder(context.workingFolder))) refuse(`the folder ${spec.folder} is missing`)
  const command =
    (await findCommand(spec.command, context.workingFolder, context.path)) ??
    refuse(`the command ${spec.command} is not found`)
  await mkdir(context.files.folder, { recursive: true, mode: 0o700 })
  const logPath = context.files.log(index)
  await boundLog(logPath)
  const log = await open(logPath, 'a', 0o600)
  try {
    const child = spawn(command, spec.arguments, {
      argv0: spec.command,
      cwd: context.workingFolder,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: {
        PATH: context.path,
        HOME: homedir(),
        HOST: healthUrlOf(spec.health_url, port).hostname.replace(/^\[|\]$/g, ''),
        PORT: String(port),
        REPLICA: String(index),
        CONFIGURATION_FILE: context.files.configuration,
        [markerVariable]: markerOf(context.namespace, {
          project,
          assetId,
          index,
          generation: desired.generation,
        }),
      },
    })
    const failure = await new Promise<Error | undefined>((resolve) => {
      child.once('spawn', () => resolve(undefined))
      child.once('error', resolve)
    })
    if (failure !== undefined || child.pid === undefined) {
      return refuse(`replica ${index} cannot be started: ${failure?.message ?? 'no process'}`)
    }
    const { pid } = child
    child.once('exit', (code, signal) =>
      context.exited(pid, signal === null ? `with code ${code ?? 0}` : `by ${signal}`),
    )
    child.unref()
    const started = await processWithPid(pid)
    if (started === undefined) {
      return refuse(`replica ${index} exited at once ${context.exitOf(pid) ?? ''}`.trimEnd())
    }
    context.spawned(started)
    return started
  } finally {
    await log.close()
  }
}

async function awaitHealthy(
  asset: ControlledAsset,
  mutation: Mutation,
  context: Convergence,
  leader: ProcessName,
  index: number,
): Promise<void> {
  const limit = context.now() + context.healthBoundMs
  let last = 'nothing yet'
  for (;;) {
    stopIfAsked(mutation, context)
    mutation.progress(`waiting for replica ${index} to be healthy`)
    const replica = (await scanReplicas(context.namespace)).find(
      (one) => isOfAsset(asset)(one) && one.leader?.pid === leader.pid,
    )
    if (replica === undefined && !(await isAlive(leader))) {
      const how = context.exitOf(leader.pid)
      return refuse(
        `replica ${index} exited${how === undefined ? '' : ` ${how}`} before it was healthy; last health answer: ${last}`,
      )
    }
    if (replica !== undefined) {
      const look = await lookAtReplica(asset.spec, replica)
      if (look.violation !== null) {
        await end(asset, mutation, context, ({ name }) => name.index === index)
        return refuse(`replica ${index} was ended: ${look.violation}`)
      }
      if (look.healthy) return
      last = healthInWords(look.health)
    }
    if (context.now() >= limit) {
      return refuse(
        `replica ${index} was not healthy within ${context.healthBoundMs} ms; last health answer: ${last}`,
      )
    }
    await pause(healthIntervalMs)
  }
}
