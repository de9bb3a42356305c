import { readFile } from 'node:fs/promises'
import pg from 'pg'
import passwordOf from 'pgpass'
import type { LiveEvent } from '../../contracts/http.js'
import { EvidenceError } from '../../contracts/errors.js'
import type { LiveTable } from '../../contracts/live-table.js'

const defaultPort = 5432
const connectMs = 10_000
const statementMs = 30_000
/** Rows that one statement removes: a table of years is emptied in steps that hold no lock for long. */
const forgetRowsMax = 10_000
const forgetStepsMax = 1_000

const conflict = (detail: string) => new EvidenceError('LIVE_TABLE_CONFLICT', detail)

const columns: readonly (readonly [keyof LiveEvent, string])[] = [
  ['position', 'bigint'],
  ['event_id', 'uuid'],
  ['project', 'text'],
  ['type', 'text'],
  ['stream', 'text'],
  ['revision', 'bigint'],
  ['time', 'timestamptz'],
  ['actor', 'text'],
  ['proposal_id', 'uuid'],
  ['asset_id', 'text'],
]
const names = columns.map(([name]) => name).join(', ')
const insert = `INSERT INTO portal_live_events (${names}) SELECT * FROM unnest(${columns
  .map(([, type], i) => `$${i + 1}::${type}[]`)
  .join(', ')}) ON CONFLICT (position) DO NOTHING`

/** The line of the password file that fits the connection, as `psql` reads it. */
const passwordInFile = (place: ReturnType<typeof placeOf>): Promise<string> =>
  new Promise((resolve) => passwordOf(place, (password) => resolve(password ?? '')))

/** Where the URL says that the database is; with TLS when it says `sslmode=require` or stricter. */
function placeOf(text: string) {
  const url = new URL(text)
  const isVerified = ['require', 'verify-ca', 'verify-full'].includes(
    url.searchParams.get('sslmode') ?? '',
  )
  return {
    host: url.hostname,
    port: url.port === '' ? defaultPort : Number(url.port),
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    ssl: isVerified,
  }
}

/**
 * The table `portal_live_events` in PostgreSQL, over one connection. The password is the one given, or comes from the
 * password file (PGPASSFILE, ~/.pgpass); never from the URL.
 *
 * @throws the driver's error when the database is not reached.
 */
export async function openPostgresLive(
  url: string,
  { definition, password }: { readonly definition: string; readonly password?: string | undefined },
): Promise<LiveTable> {
  const place = placeOf(url)
  const client = new pg.Client({
    ...place,
    password: password ?? (() => passwordInFile(place)),
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    query_timeout: 2 * statementMs,
    application_name: 'fractalops-live',
    keepAlive: true,
  })
  // A connection that breaks while nobody asks anything: the next question fails and is where it shows.
  client.on('error', () => undefined)
  await client.connect()
  return {
    async open(origin) {
      await client.query(await readFile(definition, 'utf8'))
      await client.query(
        'INSERT INTO portal_live_position (origin, position) VALUES ($1, 0) ON CONFLICT DO NOTHING',
        [origin],
      )
      const { rows } = await client.query<{ origin: string; position: string }>(
        'SELECT origin, position FROM portal_live_position',
      )
      const [row] = rows
      if (row?.origin !== origin)
        throw conflict(`the table holds the events of the ledger ${row?.origin ?? ''}`)
      return Number(row.position)
    },
    async write(from, to, messages) {
      await client.query('BEGIN')
      try {
        const moved = await client.query(
          'UPDATE portal_live_position SET position = $2 WHERE position = $1',
          [from, to],
        )
        if (moved.rowCount !== 1) throw conflict(`the table is no longer at ${from}`)
        if (messages.length > 0) {
          const values = columns.map(([name]) => messages.map((message) => message[name] ?? null))
          await client.query(insert, values)
          // Sent when the transaction is done, and not at all when it fails.
          await client.query("SELECT pg_notify('portal_live_events', $1)", [
            JSON.stringify({ from, to }),
          ])
        }
        await client.query('COMMIT')
      } catch (error) {
        await client.query('ROLLBACK').catch(() => undefined)
        throw error
      }
    },
    async forget(before) {
      for (let step = 0; step < forgetStepsMax; step += 1) {
        const { rowCount } = await client.query(
          'DELETE FROM portal_live_events WHERE position IN (SELECT position FROM portal_live_events WHERE time < $1 LIMIT $2)',
          [before, forgetRowsMax],
        )
        if ((rowCount ?? 0) < forgetRowsMax) return
      }
    },
    close: () => client.end(),
  }
}
