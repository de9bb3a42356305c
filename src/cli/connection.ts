import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as z from 'zod'
import { type ErrorCode, EvidenceError, errorTable } from '../contracts/errors.js'
import { Problem } from '../contracts/http.js'
import { UsageError, type Context } from './command.js'
import type { OfflineLedger } from './offline.js'

const requestTimeoutMs = 120_000
const addressFile = 'addresses.json'
const adminTokenFile = 'admin.token'

const Addresses = z.looseObject({ http: z.string().nullable(), grpc: z.string().nullish() })

export interface ConnectionFlags {
  readonly data?: string | undefined
  readonly url?: string | undefined
  readonly token?: string | undefined
}

export interface Asked<Body> {
  readonly status: number
  readonly body: Body
}

/** A running service, spoken to as one principal. */
export interface Client {
  readonly url: string
  /** @throws EvidenceError as the problem that the service answered; SERVICE_NOT_RUNNING when it does not answer. */
  get<Body>(path: string): Promise<Body>
  post<Body>(
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Body>
  /** As the media type that is named, or as the service likes it. */
  text(path: string, accept?: string): Promise<string>
}

export const dataFolderOf = (flags: ConnectionFlags, { env, cwd }: Context): string =>
  resolve(cwd, flags.data ?? env['FRACTALOPS_DATA'] ?? 'data')

/** The address of the service: named, or that of the service which runs on the data folder. */
function addressOf(flags: ConnectionFlags, context: Context): string | undefined {
  const named = flags.url ?? (flags.data === undefined ? context.env['FRACTALOPS_URL'] : undefined)
  if (flags.url !== undefined && flags.data !== undefined)
    throw new UsageError('name --data or --url, not both')
  if (named !== undefined) {
    if (!URL.canParse(named) || !/^https?:$/.test(new URL(named).protocol))
      throw new UsageError(`${JSON.stringify(named)} is not an http(s) URL`)
    return named.replace(/\/+$/, '')
  }
  const text = readIfThere(join(dataFolderOf(flags, context), addressFile))
  if (text === undefined) return undefined
  const http = Addresses.safeParse(readJson(text)).data?.http
  return http === null || http === undefined
    ? undefined
    : http.startsWith('http')
      ? http
      : `http://${http}`
}

const readJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    // Read while the service writes it: as good as not there yet.
    return undefined
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (
      error instanceof Error &&
      'code' in error &&
      (error.code === 'ENOENT' || error.code === 'ENOTDIR')
    )
      return undefined
    throw new EvidenceError('DATA_FOLDER_INVALID', `${path} cannot be read`, { cause: error })
  }
}

function tokenOf(flags: ConnectionFlags, context: Context): string {
  const named = flags.token ?? context.env['FRACTALOPS_TOKEN']
  if (named !== undefined) return named.trim()
  if (flags.url === undefined) {
    const kept = readIfThere(join(dataFolderOf(flags, context), adminTokenFile))
    if (kept !== undefined) return kept.trim()
  }
  throw new EvidenceError('TOKEN_MISSING', 'no token is named with --token or FRACTALOPS_TOKEN')
}

/**
 * The connection string of the service that runs on the data folder, with the rights of its administrator.
 *
 * @throws EvidenceError SERVICE_NOT_RUNNING, TOKEN_MISSING.
 */
export function ownEventStore(flags: ConnectionFlags, context: Context): string {
  const data = dataFolderOf(flags, context)
  const { grpc } =
    Addresses.safeParse(readJson(readIfThere(join(data, addressFile)) ?? '')).data ?? {}
  if (grpc === null || grpc === undefined)
    throw new EvidenceError('SERVICE_NOT_RUNNING', `no service runs on ${data}`)
  const authority = encodeURIComponent(join(data, 'keys', 'grpc-ca.crt'))
  const token = encodeURIComponent(tokenOf(flags, context))
  // Certificates are looked up by name: an address of its own would be warned about.
  const host = grpc.replace(/^127\.0\.0\.1:/, 'localhost:')
  return `esdb://administrator:${token}@${host}?tls=true&tlsCAFile=${authority}`
}

/** Connects to the service. @throws EvidenceError SERVICE_NOT_RUNNING, TOKEN_MISSING. */
export function connect(flags: ConnectionFlags, context: Context): Client {
  const url = addressOf(flags, context)
  if (url === undefined)
    throw new EvidenceError(
      'SERVICE_NOT_RUNNING',
      `no service runs on ${dataFolderOf(flags, context)}`,
    )
  return createClient(url, tokenOf(flags, context))
}

/** The running service, or the ledger of a stopped one, which is closed afterwards. */
export async function reading<Result>(
  flags: ConnectionFlags,
  context: Context,
  ways: {
    readonly online: (client: Client) => Promise<Result>
    readonly offline: (ledger: OfflineLedger) => Promise<Result>
  },
): Promise<Result> {
  const url = addressOf(flags, context)
  if (url !== undefined && (flags.url !== undefined || (await answers(url))))
    return ways.online(createClient(url, tokenOf(flags, context)))
  const ledger = await context.offline.open(dataFolderOf(flags, context))
  try {
    return await ways.offline(ledger)
  } finally {
    await ledger.close()
  }
}

/** A service that was killed leaves its addresses behind. */
const answers = async (url: string): Promise<boolean> =>
  fetch(`${url}/livez`, { signal: AbortSignal.timeout(5_000) }).then(
    (response) => response.ok,
    () => false,
  )

export function createClient(url: string, token: string): Client {
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> => {
    const init: RequestInit = {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      signal: AbortSignal.timeout(requestTimeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }
    const response = await fetch(url + path, init).catch((cause: unknown) => {
      throw new EvidenceError('SERVICE_NOT_RUNNING', `${url} does not answer`, { cause })
    })
    if (response.ok) return response
    throw await refusalOf(response)
  }
  // The contracts of `src/contracts/http.ts` type what a service of this version answers.
  const json = async <Body>(response: Response): Promise<Body> =>
    (response.status === 204 ? undefined : await response.json()) as Body
  return {
    url,
    get: async <Body>(path: string) => json<Body>(await ask('GET', path)),
    post: async <Body>(path: string, body?: unknown, headers?: Readonly<Record<string, string>>) =>
      json<Body>(await ask('POST', path, body, headers)),
    text: async (path, accept) =>
      (await ask('GET', path, undefined, accept === undefined ? {} : { accept })).text(),
  }
}

async function refusalOf(response: Response): Promise<EvidenceError> {
  const problem = Problem.safeParse(await response.json().catch(() => undefined))
  if (!problem.success || !(problem.data.code in errorTable)) {
    return new EvidenceError(
      'SERVICE_NOT_RUNNING',
      `the service answered ${response.status}${problem.success ? `: ${problem.data.title}` : ''}`,
    )
  }
  const { code, title, errors } = problem.data
  // Just checked to be a member of the table.
  return new EvidenceError(code as ErrorCode, title, { fields: errors ?? [] })
}
