import { execFileSync } from 'node:child_process'
import { appendFileSync, chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startServer } from '../processes.mjs'
import { PeerMissing, peerPackage } from '../peers.mjs'
import { salted } from '../same-work.mjs'

const connections = 32

/** Positions come from a sequence and `type_seq` is left at 0: dense ones would let only one writer in. */
const schema = `
  CREATE TABLE streams (name text PRIMARY KEY, size bigint NOT NULL, head bytea);
  CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL UNIQUE, stream text NOT NULL,
    revision bigint NOT NULL, leaf text NOT NULL, leaf_hash bytea NOT NULL, data_salt bytea NOT NULL,
    data bytea NOT NULL, metadata_salt bytea NOT NULL, metadata bytea NOT NULL, UNIQUE (stream, revision));
  CREATE FUNCTION append(name_ text, type_ text, ids uuid[], data_salts bytea[], datas bytea[], data_digests text[],
    metadata_salts bytea[], metadatas bytea[], metadata_digests text[]) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE at bigint; head_ bytea; leaf_ text; time_ text := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  BEGIN
    INSERT INTO streams VALUES (name_, 0, NULL) ON CONFLICT DO NOTHING;
    SELECT size, head INTO at, head_ FROM streams WHERE name = name_ FOR UPDATE;
    FOR i IN 1..cardinality(ids) LOOP
      leaf_ := 'fractalops/leaf/1' || chr(10) || '{"actor":"bench","content_type":"application/octet-stream","data_sha256":"' || data_digests[i]
        || '","id":"' || ids[i] || '","metadata_sha256":"' || metadata_digests[i] || '","prev":'
        || coalesce('"' || encode(head_, 'hex') || '"', 'null') || ',"project":"default","revision":"' || at || '","stream":"' || name_
        || '","time":"' || time_ || '","type":"' || type_ || '","type_seq":"0","version":"0","writer":"client"}';
      head_ := sha256('\\x00'::bytea || convert_to(leaf_, 'UTF8'));
      INSERT INTO events (id, stream, revision, leaf, leaf_hash, data_salt, data, metadata_salt, metadata)
        VALUES (ids[i], name_, at, leaf_, head_, data_salts[i], datas[i], metadata_salts[i], metadatas[i]);
      at := at + 1;
    END LOOP;
    UPDATE streams SET size = at, head = head_ WHERE name = name_;
    RETURN at;
  END $$;`

const settings = (port) => `
listen_addresses = '127.0.0.1'
port = ${port}
unix_socket_directories = ''
max_connections = ${connections + 8}
shared_buffers = 512MB
max_wal_size = 4GB
fsync = on
synchronous_commit = on
`

export const about = `PostgreSQL, fsync=on, synchronous_commit=on, a table of events, a table of streams, and a function that appends: ${connections} connections, one call and one transaction for each append, twice as many callers let in at a time; the same salts, digests, leaves and chains; ids and (stream, revision) unique; type_seq is not counted; no tree`

function programs() {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => b - a) : []
  const bin = versions
    .map((version) => join(root, version, 'bin'))
    .find((path) => existsSync(join(path, 'initdb')))
  if (bin === undefined) throw new PeerMissing('PostgreSQL is not installed')
  return bin
}

/** PostgreSQL refuses to run as root: then it runs as the user that its package made. */
const serverUser = () => {
  if (process.getuid() !== 0) return {}
  const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function startPostgres(folder, port, connect) {
  const bin = programs()
  const data = join(folder, 'postgres')
  const user = { ...serverUser(), cwd: '/' }
  mkdirSync(data, { mode: 0o700 })
  if (user.uid !== undefined) chownSync(data, user.uid, user.gid)
  const options = ['-D', data, '-U', 'bench', '--auth=trust', '--locale=C.UTF-8', '-E', 'UTF8']
  execFileSync(join(bin, 'initdb'), options, { stdio: ['ignore', 'ignore', 'pipe'], ...user })
  appendFileSync(join(data, 'postgresql.conf'), settings(port))
  // SIGINT: whoever is connected is disconnected, and the server stops cleanly.
  return startServer(join(bin, 'postgres'), ['-D', data], connect, { user, signal: 'SIGINT' })
}

export async function open(folder) {
  const { module: pg } = peerPackage('pg')
  const port = await freePort()
  const pool = new pg.Pool({
    host: '127.0.0.1',
    port,
    user: 'bench',
    database: 'postgres',
    max: connections,
  })
  // Connections that the server ends while it stops; a query that fails throws for itself.
  pool.on('error', () => {})
  const { stop } = await startPostgres(folder, port, () => pool.query('SELECT 1'))
  await pool.query(schema)
  const { rows } = await pool.query('SHOW server_version')
  const append = async (stream, drafts) => {
    const prepared = drafts.map(salted)
    await pool.query({
      name: 'append',
      text: 'SELECT append($1, $2, $3, $4, $5, $6, $7, $8, $9)',
      values: [
        stream,
        drafts[0].type,
        drafts.map(({ id }) => id),
        prepared.map(({ dataSalt }) => dataSalt),
        drafts.map(({ data }) => data),
        prepared.map(({ dataSha256 }) => dataSha256),
        prepared.map(({ metadataSalt }) => metadataSalt),
        drafts.map(({ metadata }) => metadata),
        prepared.map(({ metadataSha256 }) => metadataSha256),
      ],
    })
  }
  return {
    version: `PostgreSQL ${rows[0].server_version}`,
    append,
    // The others would wait for a connection.
    callersMax: () => 2 * connections,
    count: async () => Number((await pool.query('SELECT count(*) AS n FROM events')).rows[0].n),
    has: async (id) =>
      (await pool.query('SELECT 1 FROM events WHERE id = $1', [id])).rows.length === 1,
    async close() {
      await pool.end()
      await stop()
    },
  }
}
