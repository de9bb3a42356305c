import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'

export const repository = resolve(import.meta.dirname, '..', '..')
export const cliPath = join(repository, 'dist', 'cli', 'main.js')

/** Waits until `look` answers something, looking again at a fixed interval, at most `timeoutMs`. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 30_000,
): Promise<T> {
  const end = Date.now() + timeoutMs
  let last: unknown
  while (Date.now() < end) {
    try {
      const found = await look()
      if (found !== undefined) return found
    } catch (error) {
      last = error
    }
    await pause(50)
  }
  throw new Error(`${what} did not happen within ${timeoutMs} ms`, { cause: last })
}

/** The first of `count` consecutive free TCP ports on loopback. */
export async function freePorts(count: number): Promise<number> {
  const probe = (port: number) =>
    new Promise<boolean>((done) => {
      const server = createServer()
      server.once('error', () => done(false))
      server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
    })
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const first = 20_000 + Math.floor(Math.random() * 12_000)
    const free = await Promise.all(Array.from({ length: count }, (_, i) => probe(first + i)))
    if (free.every(Boolean)) return first
  }
  throw new Error(`no ${count} consecutive free ports found`)
}

/** A clean environment: whatever FRACTALOPS_ variables the caller's shell has must not leak in. */
export const cleanEnv = (extra: Record<string, string> = {}): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(FRACTALOPS_(?!TEST_)|TAP|NODE_OPTIONS|NODE_V8)/.test(name),
    ),
  ),
  ...extra,
})

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the built command line to its end. */
export async function runCli(
  args: readonly string[],
  env: Record<string, string> = {},
  timeoutMs = 60_000,
): Promise<Ran> {
  const child = spawn(process.execPath, [cliPath, ...args], {
    env: cleanEnv(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  return {
    code: code ?? -1,
    stdout: Buffer.concat(out).toString(),
    stderr: Buffer.concat(err).toString(),
  }
}

export interface Answer<Body> {
  readonly status: number
  readonly body: Body
  readonly text: string
}

/** A running product of its own data folder, started from the build as a user would start it. */
export class Product {
  child: ChildProcess | undefined
  url = ''
  output = ''
  readonly temporal: string | undefined

  constructor(
    readonly data: string,
    private readonly flags: readonly string[],
    private readonly env: Record<string, string>,
  ) {}

  /** Starts it and waits until it is ready. */
  async start(timeoutMs = 60_000): Promise<void> {
    const addresses = join(this.data, 'addresses.json')
    rmSync(addresses, { force: true })
    this.child = spawn(
      process.execPath,
      [
        cliPath,
        'up',
        '--data',
        this.data,
        '--http',
        '127.0.0.1:0',
        '--warehouse',
        '127.0.0.1:0',
        '--temporal',
        '127.0.0.1:0',
        '--grpc',
        '127.0.0.1:0',
        ...this.flags,
      ],
      {
        env: cleanEnv(this.env),
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
        cwd: repository,
      },
    )
    const child = this.child
    const keep = (chunk: Buffer) => {
      this.output = (this.output + chunk.toString()).slice(-100_000)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    await eventually(
      'the product becoming ready',
      async () => {
        if (child.exitCode !== null)
          throw new Error(`the product ended with ${child.exitCode}:\n${this.output}`)
        if (!existsSync(addresses)) return undefined
        const { http } = JSON.parse(readFileSync(addresses, 'utf8')) as { http: string | null }
        // A process without the API is ready when everything in it listens.
        if (http === null) return true
        this.url = http.startsWith('http') ? http : `http://${http}`
        const ready = await fetch(`${this.url}/readyz`)
        return ready.ok ? true : undefined
      },
      timeoutMs,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.output}`, { cause: error })
    })
  }

  get addresses(): {
    http: string
    warehouse: string
    grpc: string | null
    temporal: string | null
  } {
    return JSON.parse(readFileSync(join(this.data, 'addresses.json'), 'utf8')) as never
  }

  get adminToken(): string {
    return readFileSync(join(this.data, 'admin.token'), 'utf8').trim()
  }

  /** The connection string of its event store, with the rights of the administrator. */
  eventStore(address = this.addresses.grpc): string {
    const authority = join(this.data, 'keys', 'grpc-ca.crt')
    return `esdb://administrator:${this.adminToken}@${address ?? ''}?tls=true&tlsCAFile=${authority}`
  }

  /** Sends one request; a body is sent as JSON. */
  async request<Body = unknown>(
    method: string,
    path: string,
    options: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer<Body>> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.body === undefined
        ? {}
        : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
    })
    const text = await response.text()
    const json = (response.headers.get('content-type') ?? '').includes('json')
    return {
      status: response.status,
      body: (json && text !== '' ? JSON.parse(text) : undefined) as Body,
      text,
    }
  }

  async get<Body>(path: string, token = this.adminToken): Promise<Body> {
    const answer = await this.request<Body>('GET', path, { token })
    if (answer.status !== 200)
      throw new Error(`GET ${path} answered ${answer.status}: ${answer.text}`)
    return answer.body
  }

  /** Issues a token; the sign-in link signs one browser in. */
  async token(name: string, access: string): Promise<{ token: string; sign_in_url: string }> {
    const answer = await this.request<{ token: string; sign_in_url: string }>(
      'POST',
      '/v1/tokens',
      {
        token: this.adminToken,
        body: { name, access: access.split(',') },
      },
    )
    if (answer.status >= 300)
      throw new Error(`no token for ${name}: ${answer.status} ${answer.text}`)
    return answer.body
  }

  /** Ends it as Ctrl-C does and waits for its end; answers how long that took in milliseconds. */
  async stop(): Promise<number> {
    const child = this.child
    if (child?.exitCode !== null || child.pid === undefined) return 0
    const began = Date.now()
    const ended = once(child, 'exit')
    process.kill(-child.pid, 'SIGINT')
    await ended
    return Date.now() - began
  }

  /** `kill -9` of the service itself; its children learn of it by themselves. */
  async kill(): Promise<void> {
    const child = this.child
    if (child?.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
}

/** Starts a product in a folder of its own; it is stopped and the folder removed after the test. */
export async function startProduct(
  t: Test,
  options: { flags?: readonly string[]; env?: Record<string, string> } = {},
): Promise<Product> {
  const data = mkdtempSync(join(tmpdir(), 'fractalops-product-'))
  const product = new Product(data, options.flags ?? [], options.env ?? {})
  t.teardown(async () => {
    await product.stop()
    rmSync(data, { recursive: true, force: true })
  })
  await product.start()
  return product
}
