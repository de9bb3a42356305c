import { mkdirSync } from 'node:fs'
import { drainPending, type RawInsertFormat, Session } from 'chdb'

export const readersMax = 4
export const readersWaitingMax = 64
export const writesWaitingMax = 256

/** Formats whose every chunk stands alone, so that a result can be sent while it is computed. */
const streamedFormats = new Set(['JSONEachRow', 'JSONCompactEachRow', 'TabSeparated', 'TSV', 'CSV'])
const insertFormats = new Map<string, RawInsertFormat>(
  (
    [
      'JSONEachRow',
      'JSONCompactEachRow',
      'CSV',
      'CSVWithNames',
      'TSV',
      'TabSeparated',
      'TSVWithNames',
      'TabSeparatedWithNames',
    ] as const
  ).map((format) => [format.toLowerCase(), format]),
)

export type Settings = Readonly<Record<string, string>>
export type Parameters = Readonly<Record<string, string>>

/** An error as a ClickHouse server words it. */
export class EngineError extends Error {
  constructor(
    readonly clickhouseCode: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'EngineError'
  }
}

export const engineError = (code: number, type: string, detail: string): EngineError =>
  new EngineError(code, `Code: ${code}. DB::Exception: ${detail}. (${type})`)

const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

/** Settings as SQL writes them. @throws EngineError for a name that is none. */
const assignments = (settings: Settings): string[] =>
  Object.entries(settings).map(([name, value]) => {
    if (!/^[a-z][a-z0-9_]{0,127}$/.test(name)) {
      throw engineError(115, 'UNKNOWN_SETTING', `Unknown setting ${JSON.stringify(name)}`)
    }
    return `${name} = ${quoted(value)}`
  })

/**
 * A parameter as HTTP carries it is escaped text; the binding of chDB escapes what it is given.
 * So the escapes that it will write are taken off first.
 */
function unescapedParameter(name: string, value: string): string | null {
  if (value === '\\N') return null
  if (!value.includes('\\')) return value
  if (/^[[({]/.test(value)) {
    // Composite values keep their inner escapes in the engine; '' is the one escape both know.
    const doubled = value.replaceAll("\\'", "''")
    if (!doubled.includes('\\')) return doubled
    throw engineError(
      457,
      'BAD_QUERY_PARAMETER',
      `Parameter ${name}: this server takes no backslash inside an array, tuple or map`,
    )
  }
  const plain: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '0': '\0' }
  return value.replace(/\\(.)/gs, (_, letter: string) => plain[letter] ?? letter)
}

const bound = (parameters: Parameters) =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, unescapedParameter(name, value)]),
  )

function translated(error: unknown): unknown {
  if (error instanceof EngineError || !(error instanceof Error)) return error
  const code = /^Code: (\d+)\./.exec(error.message)?.[1]
  return code === undefined ? error : new EngineError(Number(code), error.message, { cause: error })
}

/** A table named by an INSERT whose rows follow in the body. */
export interface Insert {
  readonly table: string
  readonly columns?: readonly string[]
  readonly format: string
}

export interface ReadRequest {
  readonly sql: string
  readonly format: string
  readonly settings: Settings
  readonly parameters: Parameters
}

/** The ClickHouse engine on one data folder: several readers, one writer. Main thread only. */
export interface Engine {
  readonly version: string
  /** Answers the one text of a constant statement. */
  ask(sql: string, parameters: Parameters): Promise<string>
  /** The result in pieces; small or whole-document results come in one. */
  read(request: ReadRequest): AsyncIterable<Uint8Array>
  /** Runs any one statement after all earlier writes. */
  write(request: ReadRequest): Promise<Uint8Array>
  insert(insert: Insert, values: Buffer, settings: Settings): Promise<number>
  close(): Promise<void>
}

/** Hands out at most `readersMax` sessions at a time; further readers wait in line. */
function slots(sessions: Session[]) {
  const free = [...sessions]
  const waiting: ((session: Session) => void)[] = []
  return {
    async take(): Promise<Session> {
      const session = free.pop()
      if (session !== undefined) return session
      if (waiting.length >= readersWaitingMax) {
        throw engineError(202, 'TOO_MANY_SIMULTANEOUS_QUERIES', 'Too many simultaneous queries')
      }
      return new Promise((resolve) => waiting.push(resolve))
    },
    give(session: Session): void {
      const next = waiting.shift()
      if (next === undefined) free.push(session)
      else next(session)
    },
  }
}

/** @throws Error when the folder is in use by another process or cannot be read. */
export function openEngine(folder: string): Engine {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const writer = new Session(folder)
  const sessions = [writer, ...Array.from({ length: readersMax }, () => new Session(folder))]
  for (const session of sessions) {
    session.query('SET output_format_json_quote_64bit_integers = 1, async_insert = 0')
  }
  const readers = slots(sessions.slice(1))
  let writes: Promise<unknown> = Promise.resolve()
  let waitingWrites = 0

  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    if (waitingWrites >= writesWaitingMax) {
      throw engineError(202, 'TOO_MANY_SIMULTANEOUS_QUERIES', 'Too many writes are waiting')
    }
    waitingWrites += 1
    const mine = writes.then(work)
    // The next write waits for this one's end, not for its success: that is its caller's matter.
    writes = mine.catch(() => undefined)
    try {
      return await mine
    } catch (error) {
      throw translated(error)
    } finally {
      waitingWrites -= 1
    }
  }

  return {
    version: writer.query('SELECT version()', 'TSVRaw').trim(),
    async ask(sql, parameters) {
      const session = await readers.take()
      try {
        const answer = await session.queryBindAsync(sql, bound(parameters), { format: 'TSVRaw' })
        return answer.text()
      } catch (error) {
        throw translated(error)
      } finally {
        readers.give(session)
      }
    },
    async *read({ sql, format, settings, parameters }) {
      const text = `${sql}\nFORMAT ${format}\nSETTINGS ${assignments(settings).join(', ')}`
      const values = bound(parameters)
      const session = await readers.take()
      try {
        // Only SELECT can be computed piece by piece; the others are short.
        if (!streamedFormats.has(format) || !/^(SELECT|WITH|\()/.test(sql)) {
          yield (await session.queryBindAsync(text, values, { format })).bytes()
          return
        }
        for await (const chunk of session.queryStreamBind(text, values, { format })) {
          yield chunk.raw()
        }
      } catch (error) {
        throw translated(error)
      } finally {
        readers.give(session)
      }
    },
    write: ({ sql, format, settings, parameters }) =>
      inTurn(async () => {
        // Nobody else uses this session meanwhile, so settings can be set and taken back.
        const set = assignments(settings)
        for (const assignment of set) await writer.queryAsync(`SET ${assignment}`)
        try {
          const answer = await writer.queryBindAsync(sql, bound(parameters), { format })
          return answer.bytes()
        } finally {
          for (const name of Object.keys(settings)) await writer.queryAsync(`SET ${name} = DEFAULT`)
          if (set.length > 0) {
            await writer.queryAsync(
              'SET output_format_json_quote_64bit_integers = 1, async_insert = 0',
            )
          }
        }
      }),
    insert: (insert, values, settings) =>
      inTurn(async () => {
        const format = insertFormats.get(insert.format.toLowerCase())
        if (format === undefined) {
          throw engineError(
            73,
            'UNKNOWN_FORMAT',
            `This server takes no inserts in ${insert.format}`,
          )
        }
        if (values.length === 0) return 0
        const done = await writer.insert({
          table: insert.table,
          values,
          format,
          settings: { ...settings },
          ...(insert.columns === undefined ? {} : { columns: insert.columns }),
        })
        return done.rowsWritten
      }),
    async close() {
      await writes
      await drainPending()
      for (const session of sessions) session.close()
    },
  }
}
