import { join } from 'node:path'
import { createGroups } from '../grouped.mjs'
import { peerPackage } from '../peers.mjs'
import { createChain, idBytes } from '../same-work.mjs'

const schema = `
  CREATE TABLE IF NOT EXISTS streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, stream INTEGER NOT NULL, revision INTEGER NOT NULL,
    leaf BLOB NOT NULL, leaf_hash BLOB NOT NULL, data_salt BLOB NOT NULL, data BLOB NOT NULL,
    metadata_salt BLOB NOT NULL, metadata BLOB NOT NULL);
  CREATE UNIQUE INDEX IF NOT EXISTS by_stream ON events (stream, revision);`

export const about =
  'SQLite (better-sqlite3), journal_mode=WAL, synchronous=FULL: one transaction for all that waits; the same salts, digests, leaves and chains; ids and (stream, revision) unique; no tree'

export async function open(folder) {
  const { module: Database, version } = peerPackage('better-sqlite3')
  const database = new Database(join(folder, 'events.sqlite'))
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.pragma('cache_size = -262144')
  database.exec(schema)
  const place = createChain()
  const streams = new Map()
  const addStream = database.prepare('INSERT INTO streams (name) VALUES (?)')
  const add = database.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const streamId = (name) => {
    let id = streams.get(name)
    if (id === undefined) streams.set(name, (id = addStream.run(name).lastInsertRowid))
    return id
  }
  const commit = database.transaction((requests) => {
    for (const { stream, drafts } of requests) {
      const id = streamId(stream)
      for (const draft of drafts) {
        const one = place(stream, draft)
        add.run(
          one.position,
          idBytes(draft.id),
          id,
          one.revision,
          one.leafBytes,
          one.leafHash,
          one.dataSalt,
          draft.data,
          one.metadataSalt,
          draft.metadata,
        )
      }
    }
  })
  const count = database.prepare('SELECT count(*) AS events FROM events')
  const find = database.prepare('SELECT position FROM events WHERE id = ?')
  return {
    version: `better-sqlite3 ${version}`,
    append: createGroups((requests) => commit.immediate(requests)),
    count: async () => count.get().events,
    has: async (id) => find.get(idBytes(id)) !== undefined,
    close: async () => database.close(),
  }
}
