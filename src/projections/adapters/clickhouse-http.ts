import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { EvidenceError } from '../../contracts/errors.js'
import { readingStatement } from '../query-gate.js'
import {
  type Engine,
  EngineError,
  engineError,
  type Insert,
  type Parameters,
  type Settings,
} from './chdb.js'

/**
 * The ClickHouse HTTP interface as far as its official clients need it, over an embedded engine:
 * statement in URL or body, parameters, settings, formats, compression, errors. The user
 * `projector` writes; everybody else is `default`, has no password and only reads.
 */
export const writerName = 'projector'
export const readBodyBytesMax = 1024 * 1024
export const writeBodyBytesMax = 256 * 1024 * 1024
export const readSecondsMax = 60
export const readMemoryBytesMax = 2 * 1024 * 1024 * 1024
export const readResultBytesMax = 256 * 1024 * 1024
const requestMs = 120_000

/** Parameters of a URL that are about the transport; everything else is a setting. */
const transport = new Set([
  'query',
  'query_id',
  'database',
  'default_format',
  'user',
  'password',
  'session_id',
  'session_timeout',
  'session_check',
  'role',
  'compress',
  'decompress',
  'quota_key',
  'client_protocol_version',
  'wait_end_of_query',
  'buffer_size',
  'enable_http_compression',
  'cancel_http_readonly_queries_on_client_close',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'http_response_buffer_size',
  'http_zlib_compression_level',
  'log_queries',
])
/** What a reader may choose: how the result is written, and tighter bounds. */
const readerSetting =
  /^(output_format_(?!schema)\w+|format_csv_\w+|date_time_output_format|date_time_input_format|extremes|final|max_threads|max_block_size|join_use_nulls|group_by_use_nulls|use_uncompressed_cache|result_overflow_mode|timeout_overflow_mode|prefer_column_name_to_alias|asterisk_include_\w+)$/
const readerBounds: Readonly<Record<string, number>> = {
  max_execution_time: readSecondsMax,
  max_memory_usage: readMemoryBytesMax,
  max_result_bytes: readResultBytesMax,
}
const freeBounds = new Set(['max_result_rows', 'max_rows_to_read', 'max_bytes_to_read'])
const insertStatement =
  /^\s*INSERT\s+INTO\s+(?:TABLE\s+)?([A-Za-z_][\w.]*)\s*(?:\(([^)]*)\))?\s*FORMAT\s+(\w+)\s*;?\s*$/i

interface Ask {
  readonly writer: boolean
  readonly queryId: string
  readonly sql: string
  readonly rest: Buffer
  readonly parameters: Parameters
  readonly settings: Settings
  readonly defaultFormat: string
  readonly compress: boolean
  /** Nothing of the answer is sent before it is complete: `wait_end_of_query`. */
  readonly whole: boolean
}

const digest = (text: string) => createHash('sha256').update(text).digest()

function credentials(request: IncomingMessage, url: URL): { user: string; password: string } {
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (basic !== undefined) {
    const [user = '', ...password] = Buffer.from(basic, 'base64').toString().split(':')
    return { user, password: password.join(':') }
  }
  const header = (name: string) => {
    const value = request.headers[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    user: header('x-clickhouse-user') ?? url.searchParams.get('user') ?? 'default',
    password: header('x-clickhouse-key') ?? url.searchParams.get('password') ?? '',
  }
}

/** Whether the caller may write. @throws EngineError for anybody but `default` and the projector. */
function mayWrite(request: IncomingMessage, url: URL, password: string): boolean {
  const given = credentials(request, url)
  if ((given.user === 'default' || given.user === '') && given.password === '') return false
  const right = timingSafeEqual(digest(given.password), digest(password))
  if (given.user === writerName && right) return true
  throw engineError(
    516,
    'AUTHENTICATION_FAILED',
    `${given.user}: Authentication failed: password is incorrect, or there is no user with such name`,
  )
}

/** The names under which this server may be asked: pages of other names must not reach it (DNS rebinding). */
function refuseOtherHosts(request: IncomingMessage): void {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '')
  const local = request.socket.localAddress?.replace(/^::ffff:/, '')
  if (['localhost', '127.0.0.1', '[::1]', local, `[${local}]`].includes(host)) return
  throw engineError(516, 'AUTHENTICATION_FAILED', 'the Host header names another server')
}

async function bodyOf(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'gzip' && encoding !== 'identity') {
    throw engineError(49, 'UNKNOWN_COMPRESSION_METHOD', `Content-Encoding ${encoding} is not taken`)
  }
  const source = encoding === 'gzip' ? request.pipe(createGunzip()) : request
  const chunks: Buffer[] = []
  let size = 0
  // Both streams are in binary mode: their chunks are Buffers.
  for await (const chunk of source as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > bytesMax) {
      throw engineError(307, 'TOO_MANY_BYTES', `The body is larger than ${bytesMax} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function askOf(request: IncomingMessage, url: URL, password: string): Promise<Ask> {
  const writer = mayWrite(request, url, password)
  const body = await bodyOf(request, writer ? writeBodyBytesMax : readBodyBytesMax)
  const inUrl = url.searchParams.get('query')
  const named: Record<string, string> = {}
  const settings: Record<string, string> = {}
  for (const [name, value] of url.searchParams) {
    if (name.startsWith('param_')) named[name.slice('param_'.length)] = value
    else if (!transport.has(name)) settings[name] = value
  }
  const wantsGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  return {
    writer,
    queryId: url.searchParams.get('query_id') ?? randomUUID(),
    sql: inUrl ?? body.toString('utf8'),
    rest: inUrl === null ? Buffer.alloc(0) : body,
    parameters: named,
    settings,
    defaultFormat: url.searchParams.get('default_format') ?? 'TabSeparated',
    compress: wantsGzip && url.searchParams.get('enable_http_compression') === '1',
    whole: url.searchParams.get('wait_end_of_query') === '1',
  }
}

/** Settings of a reader within its bounds. @throws EngineError READONLY for any other. */
function readerSettings(asked: Settings): Settings {
  const settings: Record<string, string> = {}
  for (const [name, value] of Object.entries(asked)) {
    if (name === 'readonly' && /^[12]$/.test(value)) continue
    const most = readerBounds[name]
    if (most !== undefined || freeBounds.has(name)) {
      const number = Number(value)
      if (!(number > 0) || number > (most ?? Number.MAX_SAFE_INTEGER)) {
        throw engineError(
          452,
          'SETTING_CONSTRAINT_VIOLATION',
          `Setting ${name} shouldn't be greater than ${most ?? 'it can be'}, nor 0`,
        )
      }
    } else if (!readerSetting.test(name)) {
      throw engineError(164, 'READONLY', `Cannot modify '${name}' setting in readonly mode`)
    }
    settings[name] = value
  }
  const bounds = Object.entries(readerBounds).map(([name, most]) => [name, String(most)] as const)
  return { ...Object.fromEntries(bounds), ...settings, readonly: '1' }
}

const headersOf = (ask: Ask, format: string) => ({
  'x-clickhouse-query-id': ask.queryId,
  'x-clickhouse-format': format,
  'x-clickhouse-timezone': 'UTC',
  'x-clickhouse-server-display-name': 'fractalops',
  'content-type': /^JSON/.test(format)
    ? 'application/json; charset=UTF-8'
    : 'text/plain; charset=UTF-8',
  ...(ask.compress ? { 'content-encoding': 'gzip' } : {}),
})

const summary = (writtenRows: number, resultBytes = 0) =>
  JSON.stringify({
    read_rows: '0',
    read_bytes: '0',
    written_rows: String(writtenRows),
    written_bytes: '0',
    total_rows_to_read: '0',
    result_rows: '0',
    result_bytes: String(resultBytes),
    elapsed_ns: '0',
  })

async function send(
  response: ServerResponse,
  ask: Ask,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (ask.compress) await pipeline(chunks, createGzip(), response)
  else await pipeline(chunks, response)
}

async function* joined(begun: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>) {
  yield* begun
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

async function answerRead(engine: Engine, ask: Ask, response: ServerResponse): Promise<void> {
  const statement = await readingStatement(ask.sql, ask.parameters, (sql, values) =>
    engine.ask(sql, values),
  )
  const format = statement.format ?? ask.defaultFormat
  if (!/^\w{1,64}$/.test(format)) throw engineError(73, 'UNKNOWN_FORMAT', 'Unknown format')
  const answer = engine.read({
    sql: statement.sql,
    format,
    settings: readerSettings(ask.settings),
    parameters: ask.parameters,
  })
  const rows = answer[Symbol.asyncIterator]()
  // The first piece is awaited before the status line: most errors show by then. A later one cuts
  // the answer off, so that a part is never taken for the whole. Who asks to wait for the end hears
  // of every error instead; what is held for him is bounded by `max_result_bytes`.
  const begun: Uint8Array[] = []
  do {
    const piece = await rows.next()
    if (piece.done === true) break
    begun.push(piece.value)
  } while (ask.whole)
  response.writeHead(200, { ...headersOf(ask, format), 'x-clickhouse-summary': summary(0) })
  await send(response, ask, joined(begun, rows))
}

function insertOf(sql: string): Insert | null {
  const found = insertStatement.exec(sql)
  if (found?.[1] === undefined || found[3] === undefined) return null
  const columns = found[2]?.split(',').map((name) => name.trim().replace(/^[`"](.*)[`"]$/, '$1'))
  return { table: found[1], format: found[3], ...(columns === undefined ? {} : { columns }) }
}

async function answerWrite(engine: Engine, ask: Ask, response: ServerResponse): Promise<void> {
  const insert = insertOf(ask.sql)
  if (insert !== null) {
    const rows = await engine.insert(insert, ask.rest, ask.settings)
    response.writeHead(200, {
      ...headersOf({ ...ask, compress: false }, insert.format),
      'x-clickhouse-summary': summary(rows),
    })
    response.end()
    return
  }
  const sql = ask.rest.length === 0 ? ask.sql : `${ask.sql}\n${ask.rest.toString('utf8')}`
  const bytes = await engine.write({
    sql,
    format: ask.defaultFormat,
    settings: ask.settings,
    parameters: ask.parameters,
  })
  response.writeHead(200, {
    ...headersOf(ask, ask.defaultFormat),
    'x-clickhouse-summary': summary(0, bytes.length),
  })
  await send(
    response,
    ask,
    (async function* () {
      yield bytes
    })(),
  )
}

/** The status that a ClickHouse server gives to its exception codes. */
function statusOf(code: number): number {
  if (code === 516 || code === 497) return 403
  if (code === 60 || code === 81 || code === 46 || code === 47) return 404
  if (
    code === 62 ||
    code === 36 ||
    code === 6 ||
    code === 27 ||
    code === 53 ||
    code === 456 ||
    code === 457
  )
    return 400
  if (code === 307) return 413
  return code === 202 ? 503 : 500
}

function asEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) {
    // The check puts the statement into a function; its errors are about the statement alone.
    const message = error.message.replace(
      /: In scope SELECT formatQuerySingleLine\(.*\)(?=\. \([A-Z_]+\)$)/s,
      '',
    )
    return new EngineError(error.clickhouseCode, message, { cause: error })
  }
  if (error instanceof EvidenceError) return engineError(497, 'ACCESS_DENIED', error.message)
  const detail = error instanceof Error ? error.message : String(error)
  return engineError(1002, 'UNKNOWN_EXCEPTION', detail)
}

async function answer(
  engine: Engine,
  password: string,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const url = new URL(request.url ?? '/', 'http://localhost')
  refuseOtherHosts(request)
  if (url.pathname === '/ping' || url.pathname === '/replicas_status') {
    response.end('Ok.\n')
    return
  }
  if (url.pathname !== '/' || (request.method !== 'GET' && request.method !== 'POST')) {
    response.writeHead(404).end('There is no such path here: send SQL to /\n')
    return
  }
  const ask = await askOf(request, url, password)
  if (ask.writer) await answerWrite(engine, ask, response)
  else await answerRead(engine, ask, response)
}

export interface Listening {
  readonly server: Server
  readonly host: string
  readonly port: number
}

/** @throws the listen error of node (EADDRINUSE among them). */
export async function serveClickHouse(
  engine: Engine,
  options: { readonly host: string; readonly port: number; readonly password: string },
): Promise<Listening> {
  const suffix = ` (version ${engine.version})\n`
  const server = createServer(
    { requestTimeout: requestMs, keepAliveTimeout: 30_000 },
    (request, response) => {
      answer(engine, options.password, request, response).catch((error: unknown) => {
        if (response.headersSent) return response.destroy()
        const refused = asEngineError(error)
        response.writeHead(statusOf(refused.clickhouseCode), {
          'content-type': 'text/plain; charset=UTF-8',
          'x-clickhouse-exception-code': String(refused.clickhouseCode),
          // What is left of a refused body is not read.
          connection: 'close',
        })
        return response.end(refused.message + suffix)
      })
    },
  )
  server.listen(options.port, options.host)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no address to listen on')
  return { server, host: options.host, port: address.port }
}
