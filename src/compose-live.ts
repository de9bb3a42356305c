import { join } from 'node:path'
import type { Domain, ServiceIo } from './compose.js'
import { openPostgresLive } from './runtime/adapters/postgres-live.js'
import type { Closing } from './runtime/closing.js'
import type { Config } from './runtime/config.js'
import { followIntoTable, type LiveTableFollower } from './runtime/live-table.js'
import type { Log } from './runtime/log.js'

const definition = join(import.meta.dirname, '..', 'schemas', 'postgres', 'portal_live_events.sql')

/** Live messages in a table of PostgreSQL, for whom `/v1/live` does not reach; undefined when none is wished. */
export function startLiveTable(
  { live: url }: Pick<Config, 'live'>,
  { view, now }: Domain,
  { environment }: Pick<ServiceIo, 'environment'>,
  { log, closing }: { readonly log: Log; readonly closing: Closing },
): LiveTableFollower | undefined {
  if (url === undefined) return undefined
  const follower = followIntoTable({
    reader: view,
    origin: view.origin,
    open: () => openPostgresLive(url, { definition, password: environment['PGPASSWORD'] }),
    log,
    now,
  })
  closing.add('live table', () => follower.close())
  return follower
}
