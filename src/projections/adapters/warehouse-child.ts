import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import * as z from 'zod'
import { EvidenceError } from '../../contracts/errors.js'
import { writerName } from './clickhouse-http.js'

/** A large folder on a busy disk takes its time to open. */
export const readyMsMax = 45_000
export const restartMsMin = 100
export const restartMsMax = 5_000
/** The address of a child that was killed with its parent is free again within this time. */
export const addressMsMax = 3_000
const closeMs = 1_500
const lastErrorBytesMax = 2_000

const Line = z.union([
  z.object({ ready: z.object({ host: z.string(), port: z.int(), pid: z.int() }) }),
  z.object({
    failed: z.object({
      code: z.enum(['ADDRESS_IN_USE', 'WAREHOUSE_UNAVAILABLE']),
      message: z.string(),
    }),
  }),
])

export interface WarehouseLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
}

export interface WarehouseOptions {
  /** Where the engine keeps its tables; one process at a time. */
  readonly folder: string
  /** Port 0 takes any free one; it then stays the same over restarts. */
  readonly listen: { readonly host: string; readonly port: number }
  /** The file of the warehouse process. */
  readonly entry: string
  /** Arguments of node before the entry; tests run it from its sources with them. */
  readonly execArgv?: readonly string[]
  readonly log: WarehouseLog
}

/** The supervised warehouse process. */
export interface RunningWarehouse {
  /** Base URL of its ClickHouse HTTP interface. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Credentials of the only writer, made at this start. */
  readonly writer: { readonly user: string; readonly password: string }
  pid(): number | undefined
  status(): { readonly status: 'ok' | 'starting' | 'down'; readonly detail: string }
  /** Ends it within 2 s. */
  close(): Promise<void>
}

interface Started {
  readonly child: ChildProcess
  readonly port: number
}

/** Starts one child and waits for its address. @throws EvidenceError ADDRESS_IN_USE, WAREHOUSE_UNAVAILABLE. */
async function startOnce(
  options: WarehouseOptions,
  port: number,
  password: string,
): Promise<Started> {
  const child = spawn(process.execPath, [...(options.execArgv ?? []), options.entry], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let lastError = ''
  child.stderr.on('data', (chunk: Buffer) => {
    lastError = (lastError + chunk.toString()).slice(-lastErrorBytesMax)
  })
  // A child that ended before it read its order shows in its exit, not here.
  child.stdin.on('error', () => undefined)
  const { folder, listen } = options
  child.stdin.write(`${JSON.stringify({ folder, host: listen.host, port, password })}\n`)

  const lines = createInterface({ input: child.stdout })
  const outcome = await Promise.race([
    once(lines, 'line').then(([text]) => Line.parse(JSON.parse(String(text)))),
    once(child, 'exit').then(([code, signal]) => {
      throw new EvidenceError(
        'WAREHOUSE_UNAVAILABLE',
        `the warehouse process ended with ${String(code ?? signal)}: ${lastError}`,
      )
    }),
    pause(readyMsMax, undefined, { ref: false }).then(() => {
      throw new EvidenceError(
        'WAREHOUSE_UNAVAILABLE',
        `the warehouse process was not ready within ${readyMsMax} ms`,
      )
    }),
  ]).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  if ('ready' in outcome) return { child, port: outcome.ready.port }
  child.kill('SIGKILL')
  const { code, message } = outcome.failed
  throw new EvidenceError(
    code,
    code === 'ADDRESS_IN_USE'
      ? `the warehouse cannot listen on ${listen.host}:${port}: another program does`
      : `the warehouse cannot open ${folder}: ${message}`,
    { details: { address: `${listen.host}:${port}` } },
  )
}

/** The first start waits for what a killed predecessor still holds: its port and its folder. */
async function startFirst(options: WarehouseOptions, password: string): Promise<Started> {
  const until = performance.now() + addressMsMax
  for (;;) {
    try {
      return await startOnce(options, options.listen.port, password)
    } catch (error) {
      if (performance.now() >= until) throw error
      await pause(restartMsMin)
    }
  }
}

/**
 * Starts the warehouse process and keeps it running: when it dies it is started again at the same
 * address, after a pause that grows with every failure in a row.
 *
 * @throws EvidenceError ADDRESS_IN_USE, WAREHOUSE_UNAVAILABLE when it does not start at all.
 */
export async function startWarehouse(options: WarehouseOptions): Promise<RunningWarehouse> {
  const password = randomBytes(24).toString('base64url')
  const { log } = options
  const first = await startFirst(options, password)
  const { port } = first
  let { child } = first
  let status: 'ok' | 'starting' | 'down' = 'ok'
  let detail = ''
  let closing = false
  const ended = new AbortController()

  const restart = async () => {
    for (let wait = restartMsMin; !closing; wait = Math.min(wait * 2, restartMsMax)) {
      status = 'starting'
      try {
        const started = await startOnce(options, port, password)
        child = started.child
        // Closed while it was starting: nobody else ends this one.
        if (ended.signal.aborted) return void child.kill('SIGKILL')
        status = 'ok'
        detail = ''
        log.info('warehouse process started again', { pid: child.pid, port })
        watch(child)
        return
      } catch (error) {
        status = 'down'
        detail = error instanceof Error ? error.message : String(error)
        log.warn('warehouse process does not start', { detail, wait })
        await pause(wait, undefined, { signal: ended.signal }).catch(() => undefined)
      }
    }
  }
  const watch = (watched: ChildProcess) => {
    watched.once('exit', (code, signal) => {
      if (closing) return
      status = 'down'
      detail = `the process ended with ${String(code ?? signal)}`
      log.warn('warehouse process ended', { code, signal })
      void restart()
    })
  }
  watch(child)
  log.info('warehouse process started', { pid: child.pid, port })

  return {
    url: `http://${options.listen.host.includes(':') ? `[${options.listen.host}]` : options.listen.host}:${port}`,
    host: options.listen.host,
    port,
    writer: { user: writerName, password },
    pid: () => child.pid,
    status: () => ({ status, detail }),
    async close() {
      closing = true
      ended.abort()
      status = 'down'
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.stdin?.end()
      const killer = setTimeout(() => child.kill('SIGKILL'), closeMs)
      await gone
      clearTimeout(killer)
    },
  }
}
