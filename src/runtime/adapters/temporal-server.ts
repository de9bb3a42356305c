import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import { argumentsOf, startedWith, startTimeOf } from './process-identity.js'
import { type ExecutableOptions, temporalExecutable } from './temporal-executable.js'

const lookIntervalMs = 250
const startTimeoutMs = 30_000
const backoffMinMs = 250
const backoffMaxMs = 10_000
/** A server that ran this long was sound: the next restart begins with the shortest pause again. */
const soundAfterMs = 30_000
const stopGraceMs = 1_500
const stopBoundMs = 3_000
const logBytesMax = 8 * 1024 * 1024

export interface TemporalServerOptions extends Omit<ExecutableOptions, 'signal'> {
  /** `<data>/temporal`: its state, its log, and which process it is. */
  readonly folder: string
  /** A loopback address. */
  readonly host: string
  /** 0 = any free port, the same one as long as it stays free. */
  readonly port: number
}

export interface TemporalServer {
  /** `host:port` once it listens; undefined until then and while it is down. */
  address(): string | undefined
  state(): { readonly status: 'ok' | 'starting' | 'down'; readonly detail: string }
  /** Ends the server, or a build of it; resolves when its process is gone. */
  close(): Promise<void>
}

interface Running {
  readonly pid: number
  readonly startTime: string
  readonly port: number
}

/**
 * Runs the real Temporal dev server beside the service and keeps it running. It has a process group
 * of its own, so that Ctrl-C on the terminal leaves it to the workers until they are drained; after a
 * `kill -9` of the service the next start finds it again by pid, start time and data folder.
 *
 * @throws EvidenceError ADDRESS_IN_USE when another program listens there.
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const folder = resolve(options.folder)
  mkdirSync(folder, { recursive: true })
  const files = {
    database: join(folder, 'temporal.db'),
    log: join(folder, 'server.log'),
    record: join(folder, 'server.json'),
  }
  const stopping = new AbortController()
  let state: ReturnType<TemporalServer['state']> = {
    status: 'starting',
    detail: 'Temporal is starting',
  }
  let running = findOurs(files)
  if (running !== undefined && options.port !== 0 && running.port !== options.port) {
    await end(running)
    running = undefined
  }
  if (running === undefined && options.port !== 0 && !(await isFree(options.host, options.port))) {
    throw new EvidenceError(
      'ADDRESS_IN_USE',
      `${options.host}:${options.port} (Temporal) is taken by another program`,
    )
  }

  const start = async (): Promise<Running> => {
    const executable = await temporalExecutable({ ...options, signal: stopping.signal })
    const port = await portFor(options, files.record)
    const child = launch(executable, { ...files, ...options, folder, port })
    // If we stop before this is written, the next start finds the server by its database file.
    keep(files.record, child)
    return child
  }

  const keepRunning = async () => {
    let backoffMs = backoffMinMs
    while (!stopping.signal.aborted) {
      const began = Date.now()
      try {
        running ??= await start()
        await listening(options.host, running, stopping.signal)
        state = { status: 'ok', detail: `Temporal listens on ${options.host}:${running.port}` }
        await gone(running, files.log, stopping.signal)
        if (stopping.signal.aborted) return
        state = {
          status: 'starting',
          detail: `Temporal ended and is started again; see ${files.log}`,
        }
      } catch (error) {
        if (stopping.signal.aborted) return
        state = { status: 'down', detail: error instanceof Error ? error.message : String(error) }
      }
      if (running !== undefined) await end(running)
      running = undefined
      backoffMs =
        Date.now() - began > soundAfterMs ? backoffMinMs : Math.min(backoffMs * 2, backoffMaxMs)
      await pause(backoffMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const keeping = keepRunning()

  return {
    address: () =>
      state.status === 'ok' && running !== undefined
        ? `${options.host}:${running.port}`
        : undefined,
    state: () => state,
    async close() {
      stopping.abort()
      await keeping
      state = { status: 'down', detail: 'Temporal was stopped' }
      if (running !== undefined) await end(running)
      running = undefined
      rmSync(files.record, { force: true })
    },
  }
}

/** The server that an earlier process of this data folder left running. */
function findOurs(files: {
  readonly record: string
  readonly database: string
}): Running | undefined {
  const recorded = readRecord(files.record)
  const pids = [...(recorded === undefined ? [] : [recorded.pid]), ...startedWith(files.database)]
  for (const pid of pids) {
    const startTime = startTimeOf(pid)
    const args = argumentsOf(pid)
    const port = Number(args[args.indexOf('--port') + 1])
    const isOurs =
      args.includes('start-dev') && args.includes(files.database) && Number.isInteger(port)
    if (
      startTime !== undefined &&
      isOurs &&
      (pid !== recorded?.pid || recorded.startTime === startTime)
    ) {
      const found = { pid, startTime, port }
      keep(files.record, found)
      return found
    }
  }
  return undefined
}

function readRecord(path: string): Running | undefined {
  if (!existsSync(path)) return undefined
  try {
    const { pid, start_time, port } = JSON.parse(readFileSync(path, 'utf8')) as Record<
      string,
      unknown
    >
    if (typeof pid !== 'number' || typeof start_time !== 'string' || typeof port !== 'number')
      return undefined
    return { pid, startTime: start_time, port }
  } catch (error) {
    // A file cut short by a crash says nothing; the server is then found by its database file.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function keep(path: string, { pid, startTime, port }: Running): void {
  writeFileSync(`${path}.new`, `${JSON.stringify({ pid, start_time: startTime, port })}\n`)
  renameSync(`${path}.new`, path)
}

function launch(
  executable: string,
  {
    database,
    log,
    folder,
    host,
    port,
    environment,
  }: {
    database: string
    log: string
    folder: string
    host: string
    port: number
    environment: ExecutableOptions['environment']
  },
): Running {
  const output = openSync(log, 'a')
  try {
    ftruncateSync(output)
    const child = spawn(
      executable,
      [
        'server',
        'start-dev',
        '--db-filename',
        database,
        '--ip',
        host,
        '--port',
        String(port),
        '--headless',
        '--log-level',
        'error',
        '--disable-config-file',
        '--disable-config-env',
      ],
      {
        cwd: folder,
        detached: true,
        stdio: ['ignore', output, output],
        env: Object.fromEntries(
          Object.entries(environment).filter(([name]) => !/^(FRACTALOPS|TEMPORAL)_/.test(name)),
        ),
      },
    )
    // A program that cannot be started has no pid; what it is about comes with this event.
    child.on('error', () => undefined)
    child.unref()
    const startTime = child.pid === undefined ? undefined : startTimeOf(child.pid)
    if (child.pid === undefined || startTime === undefined) {
      throw new EvidenceError(
        'EXECUTION_UNAVAILABLE',
        `${executable} cannot be started; see ${log}`,
      )
    }
    return { pid: child.pid, startTime, port }
  } finally {
    closeSync(output)
  }
}

const isAlive = ({ pid, startTime }: Running): boolean => startTimeOf(pid) === startTime

async function listening(host: string, server: Running, signal: AbortSignal): Promise<void> {
  const end = Date.now() + startTimeoutMs
  while (!signal.aborted) {
    if (!isAlive(server))
      throw new EvidenceError('EXECUTION_UNAVAILABLE', 'Temporal ended while it started')
    if (await answers(host, server.port)) return
    if (Date.now() > end)
      throw new EvidenceError(
        'EXECUTION_UNAVAILABLE',
        `Temporal did not listen within ${startTimeoutMs / 1000} s`,
      )
    await pause(lookIntervalMs, undefined, { signal }).catch(() => undefined)
  }
}

/** Waits for the end of the server; an adopted one is no child of ours, so it is looked for. */
async function gone(server: Running, log: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && isAlive(server)) {
    if (existsSync(log) && statSync(log).size > logBytesMax) truncateSync(log)
    await pause(lookIntervalMs, undefined, { signal }).catch(() => undefined)
  }
}

async function end(server: Running): Promise<void> {
  const began = Date.now()
  let sent: NodeJS.Signals | undefined
  while (isAlive(server)) {
    const elapsed = Date.now() - began
    if (elapsed > stopBoundMs)
      throw new EvidenceError(
        'EXECUTION_UNAVAILABLE',
        `the Temporal process ${server.pid} does not end`,
      )
    const signal = elapsed > stopGraceMs ? 'SIGKILL' : 'SIGTERM'
    if (signal !== sent) process.kill(server.pid, signal)
    sent = signal
    await pause(20)
  }
}

const answers = (host: string, port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect({ host, port })
    const finish = (answer: boolean) => {
      socket.destroy()
      done(answer)
    }
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
    socket.setTimeout(1_000, () => finish(false))
  })

const isFree = async (host: string, port: number): Promise<boolean> =>
  (await listenOnce(host, port)) !== undefined

const listenOnce = (host: string, port: number): Promise<number | undefined> =>
  new Promise((done) => {
    const probe = createServer()
    probe.once('error', () => done(undefined))
    probe.listen(port, host, () => {
      const address = probe.address()
      const found = typeof address === 'object' && address !== null ? address.port : undefined
      probe.close(() => done(found))
    })
  })

/** The wanted port, or of any free one the last, so that clients find the server where it was. */
async function portFor({ host, port }: TemporalServerOptions, record: string): Promise<number> {
  const wanted = port === 0 ? (readRecord(record)?.port ?? 0) : port
  const free =
    (await listenOnce(host, wanted)) ?? (port === 0 ? await listenOnce(host, 0) : undefined)
  if (free !== undefined) return free
  throw new EvidenceError(
    'ADDRESS_IN_USE',
    `${host}:${wanted} (Temporal) is taken by another program`,
  )
}
