import { setTimeout as pause } from 'node:timers/promises'
import { Client, Connection } from '@temporalio/client'
import {
  NativeConnection,
  Worker,
  type WorkerOptions,
  type WorkflowBundleOption,
} from '@temporalio/worker'
import type { EventStore } from '../ledger/event-store.js'
import type { ExecutionActivities } from './execution-activities.js'
import type { FactActivities } from './fact-activities.js'
import { keepCheckingFacts } from './fact-check-schedule.js'
import { failures } from './failure.js'
import type { LedgerActivities } from './ledger-activities.js'
import type { Log } from './log.js'
import { keepReconciling } from './reconcile-schedule.js'
import { sideEffects } from './side-effects.js'
import { executionQueue } from './step-names.js'
import { installTemporalRuntime } from './temporal-runtime.js'

const namespace = 'default'
const connectTimeoutMs = 5_000
const pulseIntervalMs = 500
const pulseTimeoutMs = 2_000
const backoffMinMs = 200
const backoffMaxMs = 5_000
/** What an attempt may still take after the stop began, before its capability ends. */
const stopGraceMs = 400
const stopForceMs = 2_000
const closeBoundMs = 3_000
const activitiesMax = 32
const cachedWorkflowsMax = 200

export interface ExecutionOptions {
  /** `host:port` of Temporal; undefined while nobody knows it, asked again until somebody does. */
  readonly address: () => string | undefined
  /** Why there is no address, for the status. */
  readonly addressDetail: () => string
  readonly store: EventStore
  /** Of this ledger: `ledgerQueue(<origin hash>)`. */
  readonly taskQueue: string
  readonly workflowBundle: WorkflowBundleOption
  readonly reconcileEveryMs?: number
  readonly log: Log
  /** Called whenever Temporal is reached after it was not. */
  readonly onAvailable: () => void
}

/** The activities of the components that this process runs. */
export interface ExecutionWorkers {
  /** Component `worker`: workflows and ledger activities. */
  readonly ledger?: LedgerActivities
  /** Component `execution-runtime`: the only one that reaches assets. */
  readonly execution?: ExecutionActivities
  /** Beside `ledger`, in a process that folds fact tables. */
  readonly facts?: FactActivities
}

export interface Execution {
  /** The connection while Temporal answers; a `WorkflowStarter` is made from it. */
  client(): Client | undefined
  status(): { readonly status: 'ok' | 'starting' | 'down'; readonly detail: string }
  /** Begins to connect and to work, and goes on until `close`. The activities may use `client`. */
  start(workers: ExecutionWorkers): void
  /** Drains the workers; attempts that do not end in time are left to the next start. At most 3 s. */
  close(): Promise<void>
}

interface Session {
  readonly address: string
  readonly client: Client
  readonly workers: readonly { readonly worker: Worker; readonly run: Promise<void> }[]
  close(): Promise<void>
}

/** Keeps workers on Temporal: connects, connects again when it was away, and says how it stands. */
export function createExecution(options: ExecutionOptions): Execution {
  const { log } = options
  const closing = new AbortController()
  let state: ReturnType<Execution['status']> = {
    status: 'starting',
    detail: 'connecting to Temporal',
  }
  let session: Session | undefined
  let working: Promise<void> = Promise.resolve()

  const isReached = () => state.status === 'ok'
  const becomes = (status: 'ok' | 'starting' | 'down', detail: string) => {
    if (state.status !== status) log.info('execution changed its status', { status, detail })
    state = { status, detail }
  }

  /** Watches one session until it cannot go on; Temporal being away for a while is no reason to end it. */
  const watch = async (current: Session, checksFacts: boolean): Promise<void> => {
    const failed = Promise.all(current.workers.map(({ run }) => run)).then(() => true)
    // Looked at in every round below; until then a rejection is not forgotten but waits.
    failed.catch(() => undefined)
    while (!closing.signal.aborted && current.address === (options.address() ?? current.address)) {
      const wasReached = isReached()
      try {
        await pulse(current.client)
        if (!wasReached) {
          await keepReconciling(current.client, options.taskQueue, options.reconcileEveryMs)
          if (checksFacts) await keepCheckingFacts(current.client, options.taskQueue)
          becomes('ok', `Temporal at ${current.address}`)
          options.onAvailable()
        }
      } catch (error) {
        becomes(
          'down',
          `Temporal at ${current.address} does not answer (${error instanceof Error ? error.name : 'no reason given'})`,
        )
      }
      const ended = await Promise.race([
        failed,
        pause(pulseIntervalMs, false, { signal: closing.signal }).catch(() => false),
      ])
      if (ended) return
    }
  }

  const work = async (workers: ExecutionWorkers) => {
    let backoffMs = backoffMinMs
    while (!closing.signal.aborted) {
      const address = options.address()
      if (address === undefined) {
        becomes(state.status === 'starting' ? 'starting' : 'down', options.addressDetail())
      } else {
        try {
          session = await openSession(address, options, workers)
          backoffMs = backoffMinMs
          await watch(session, workers.facts !== undefined)
          if (!closing.signal.aborted) becomes('starting', 'connecting to Temporal anew')
        } catch (error) {
          becomes(
            'down',
            `Temporal at ${address} cannot be worked with (${error instanceof Error ? error.name : 'no reason given'})`,
          )
        }
        const ended = session
        session = undefined
        await ended?.close().catch((error: unknown) => {
          log.warn('a connection to Temporal did not close', {
            error: error instanceof Error ? error.name : typeof error,
          })
        })
      }
      await pause(backoffMs, undefined, { signal: closing.signal }).catch(() => undefined)
      backoffMs = Math.min(backoffMs * 2, backoffMaxMs)
    }
  }

  return {
    client: () => (isReached() ? session?.client : undefined),
    status: () => state,
    start(workers) {
      installTemporalRuntime(log)
      working = work(workers)
    },
    async close() {
      closing.abort()
      const bound = new AbortController()
      await Promise.race([
        working,
        pause(closeBoundMs, undefined, { signal: bound.signal }),
      ]).finally(() => bound.abort())
      becomes('down', 'execution was stopped')
    },
  }
}

const pulse = (client: Client): Promise<unknown> =>
  client.withDeadline(Date.now() + pulseTimeoutMs, () =>
    client.workflowService.describeNamespace({ namespace }),
  )

async function openSession(
  address: string,
  options: ExecutionOptions,
  workers: ExecutionWorkers,
): Promise<Session> {
  const connection = await Connection.connect({
    address,
    connectTimeout: connectTimeoutMs,
    // Without these a connection that failed a few times rests for minutes.
    channelArgs: {
      'grpc.initial_reconnect_backoff_ms': 250,
      'grpc.max_reconnect_backoff_ms': 2_000,
    },
  })
  let native: NativeConnection | undefined
  const running: { worker: Worker; run: Promise<void> }[] = []
  const close = async () => {
    for (const { worker } of running) if (worker.getState() === 'RUNNING') worker.shutdown()
    // A worker that failed, or did not drain in time, has nothing more to say.
    await Promise.allSettled(running.map(({ run }) => run))
    await connection.close()
    await native?.close()
  }
  try {
    native = await NativeConnection.connect({ address })
    for (const extra of workerOptions(options, workers)) {
      const worker = await Worker.create({
        ...sharedOptions(options),
        connection: native,
        ...extra,
      })
      const run = worker.run()
      // Whoever waits for it sees the rejection; before that it must not end the process.
      run.catch(() => undefined)
      running.push({ worker, run })
    }
    return { address, client: new Client({ connection, namespace }), workers: running, close }
  } catch (error) {
    await close().catch((also: unknown) => {
      options.log.warn('a connection to Temporal did not close', {
        error: also instanceof Error ? also.name : typeof also,
      })
    })
    throw error
  }
}

const sharedOptions = ({ store, log }: ExecutionOptions) =>
  ({
    namespace,
    shutdownGraceTime: stopGraceMs,
    shutdownForceTime: stopForceMs,
    maxConcurrentActivityTaskExecutions: activitiesMax,
    // A workflow that was terminated reaches its activity with the next heartbeat.
    maxHeartbeatThrottleInterval: '2s',
    defaultHeartbeatThrottleInterval: '2s',
    interceptors: { activity: [failures(log), sideEffects(store)] },
  }) satisfies Partial<WorkerOptions>

function workerOptions(
  { taskQueue, workflowBundle }: ExecutionOptions,
  { ledger, execution, facts }: ExecutionWorkers,
) {
  return [
    ...(ledger === undefined
      ? []
      : [
          {
            taskQueue,
            workflowBundle,
            activities: { ...ledger, ...facts },
            maxCachedWorkflows: cachedWorkflowsMax,
            workflowThreadPoolSize: 1,
            // Tasks that were meant for a killed worker go to the next one soon.
            stickyQueueScheduleToStartTimeout: '2s' as const,
          },
        ]),
    ...(execution === undefined
      ? []
      : [{ taskQueue: executionQueue(taskQueue), activities: execution }]),
  ]
}
