import type * as z from 'zod'
import type {
  AssetPage,
  AssetView,
  EventPage,
  HudView,
  Problem,
  ProposalPage,
  ProposalView,
  SessionView,
  SimulationView,
} from '../contracts/http.js'
import type { ProposalBody } from '../contracts/proposal.js'
import { hexOf } from '../ledger/encoding.js'

export const pageLimit = 50

/** A refusal of the service, with the remedy it names. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title)
    this.name = `ProblemError [${problem.code}]`
  }
}

const unreachable: Problem = {
  type: 'about:blank',
  title: 'The service does not answer',
  status: 503,
  code: 'SERVICE_NOT_RUNNING',
  remedy: 'See whether "fractalops up" is running. This page goes on by itself when it is back.',
}

/** The problem of any error, so that every failure is shown in one form. */
export const problemOf = (error: unknown): Problem =>
  error instanceof ProblemError
    ? error.problem
    : {
        ...unreachable,
        title: 'Something went wrong in this page',
        status: 500,
        code: 'PORTAL',
        detail: error instanceof Error ? error.message : String(error),
        remedy: 'Reload the page. Nothing was recorded.',
      }

async function refusal(response: Response): Promise<ProblemError> {
  const isProblem = (response.headers.get('content-type') ?? '').includes('json')
  if (!isProblem) {
    return new ProblemError({
      ...unreachable,
      status: response.status,
      detail: `HTTP ${response.status}`,
    })
  }
  // The service answers every error as a problem; its contract is tested there.
  const body = (await response.json()) as Partial<Problem>
  return new ProblemError({ ...unreachable, ...body, status: response.status })
}

async function send(method: 'GET' | 'POST', path: string, init: RequestInit): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, { method, credentials: 'same-origin', ...init })
  } catch (cause) {
    throw new ProblemError({
      ...unreachable,
      detail: cause instanceof Error ? cause.message : 'no connection',
    })
  }
  if (!response.ok) throw await refusal(response)
  return response
}

// The contracts of `src/contracts/http.ts` type the answers of the service that served this page.
const getJson = async <Body>(path: string, signal?: AbortSignal): Promise<Body> =>
  (await (
    await send('GET', path, {
      headers: { accept: 'application/json' },
      ...(signal === undefined ? {} : { signal }),
    })
  ).json()) as Body

const getText = async (path: string, accept: string): Promise<string> =>
  (await send('GET', path, { headers: { accept } })).text()

async function post<Body>(path: string, body: unknown, idempotencyKey?: string): Promise<Body> {
  const response = await send('POST', path, {
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
    },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  // As above; routes that answer nothing are called with Body = unknown.
  return (text === '' ? undefined : JSON.parse(text)) as Body
}

/** A name for one intention of the user: sending it again repeats the answer, not the change. */
export const newIdempotencyKey = (): string => hexOf(crypto.getRandomValues(new Uint8Array(16)))

const search = (parameters: Readonly<Record<string, string | number | null | undefined>>) => {
  const entries = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined || value === null || value === '' ? [] : [[name, String(value)]],
  )
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries).toString()}`
}

const id = encodeURIComponent

export interface ProposalFilter {
  readonly status?: string | undefined
  readonly asset_id?: string | undefined
}

export interface EventFilter {
  readonly order?: 'newest' | 'oldest' | undefined
  readonly type?: string | undefined
  readonly stream?: string | undefined
}

/** Every call that the portal makes. */
export const api = {
  session: () => getJson<z.infer<typeof SessionView>>('/v1/session'),
  signOut: () => post<unknown>('/v1/session/sign-out', {}),
  hud: () => getJson<HudView>('/v1/hud'),
  proposals: (filter: ProposalFilter, cursor: string | null) =>
    getJson<z.infer<typeof ProposalPage>>(
      `/v1/proposals${search({ ...filter, limit: pageLimit, cursor })}`,
    ),
  proposal: (proposal: string) => getJson<ProposalView>(`/v1/proposals/${id(proposal)}`),
  simulate: (body: ProposalBody) =>
    post<z.infer<typeof SimulationView>>('/v1/proposals/simulate', body),
  propose: (body: ProposalBody, key: string) => post<ProposalView>('/v1/proposals', body, key),
  /** Approves, rejects, comments, withdraws or cancels. */
  decide: (proposal: string, step: string, body: unknown, key: string) =>
    post<unknown>(`/v1/proposals/${id(proposal)}/${step}`, body, key),
  assets: (cursor: string | null, limit = pageLimit) =>
    getJson<z.infer<typeof AssetPage>>(`/v1/assets${search({ limit, cursor })}`),
  asset: (asset: string, at: string | undefined) =>
    getJson<AssetView>(`/v1/assets/${id(asset)}${search({ at })}`),
  events: (filter: EventFilter, cursor: string | null) =>
    getJson<z.infer<typeof EventPage>>(
      `/v1/events${search({ ...filter, limit: pageLimit, cursor })}`,
    ),
  /** The exact text of the proof file: every byte of it counts. */
  proof: (event: string) => getText(`/v1/events/${id(event)}/proof`, 'application/json'),
  checkpointKey: async () => (await getText('/v1/checkpoint/key', 'text/plain')).trim(),
}
