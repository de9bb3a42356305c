import { execFile } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Test } from 'tap'
import { freePorts } from './product.js'

const run = promisify(execFile)
const root = '/usr/lib/postgresql'
const user = 'app'
const password = 'correct horse'

function programs(): string | undefined {
  try {
    const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a))
    return versions[0] === undefined ? undefined : join(root, versions[0], 'bin')
  } catch {
    return undefined
  }
}

/** Why a test that needs PostgreSQL is skipped, or false. In CI it is never skipped. */
export const requirePostgres = (): string | false =>
  programs() !== undefined || process.env['CI'] === 'true'
    ? false
    : 'PostgreSQL is missing: run test/servers/postgres.sh'

export interface TestPostgres {
  /** Without the password, which `passwordFile` holds. */
  readonly url: string
  readonly passwordFile: string
  query<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>
  /** A connection that is closed after the test. */
  connect(): Promise<pg.Client>
  /** Ends it at once, as a crash does. */
  crash(): Promise<void>
  start(): Promise<void>
}

/** A server of its own, which refuses to run as root: then it runs as the user that the package made. */
export async function startPostgres(t: Test): Promise<TestPostgres> {
  const bin = programs()
  if (bin === undefined) throw new Error('PostgreSQL is missing: run test/servers/postgres.sh')
  const isRoot = process.getuid?.() === 0
  const as = (program: string, args: readonly string[]) =>
    isRoot
      ? run('runuser', ['-u', 'postgres', '--', join(bin, program), ...args])
      : run(join(bin, program), args)
  const folder = mkdtempSync(join(tmpdir(), 'fractalops-postgres-'))
  const data = join(folder, 'data')
  const secret = join(folder, 'secret')
  const passwordFile = join(folder, 'passwords')
  const port = await freePorts(1)
  writeFileSync(secret, `${password}\n`)
  writeFileSync(passwordFile, `127.0.0.1:${port}:*:${user}:${password}\n`, { mode: 0o600 })
  if (isRoot) {
    const { stdout } = await run('id', ['-u', 'postgres'])
    chownSync(folder, Number(stdout), 0)
    chmodSync(secret, 0o644)
  }
  const log = join(folder, 'log')
  const start = async () => {
    const settings = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c wal_level=logical -c fsync=off`
    await as('pg_ctl', ['-D', data, '-w', '-t', '30', '-l', log, '-o', settings, 'start'])
  }
  const stop = (mode: 'fast' | 'immediate') => as('pg_ctl', ['-D', data, '-w', '-m', mode, 'stop'])
  t.teardown(async () => {
    await stop('immediate').catch(() => undefined)
    rmSync(folder, { recursive: true, force: true })
  })
  await as('initdb', [
    '-D',
    data,
    '-U',
    user,
    '--auth=scram-sha-256',
    `--pwfile=${secret}`,
    '--no-sync',
  ])
  await start()

  const open = async () => {
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres' })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }
  return {
    url: `postgres://${user}@127.0.0.1:${port}/postgres`,
    passwordFile,
    async query<Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []) {
      const client = await open()
      try {
        return (await client.query<Row>(sql, [...values])).rows
      } finally {
        await client.end()
      }
    },
    async connect() {
      const client = await open()
      t.teardown(() => client.end().catch(() => undefined))
      return client
    },
    crash: async () => void (await stop('immediate')),
    start,
  }
}
