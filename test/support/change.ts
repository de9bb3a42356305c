import { randomUUID } from 'node:crypto'
import type { AssetView, ProposalView } from '../../src/contracts/http.js'
import { eventually, freePorts, type Product } from './product.js'

export const ended: readonly string[] = [
  'completed',
  'failed',
  'denied',
  'indeterminate',
  'rejected',
  'withdrawn',
  'cancelled',
  'expired',
]

/** Two people of a product: one proposes, the other decides. */
export interface People {
  readonly proposer: string
  readonly approver: string
}

export async function people(product: Product): Promise<People> {
  const tag = randomUUID().slice(0, 8)
  const proposer = await product.token(`ada-${tag}`, 'proposer')
  const approver = await product.token(`grace-${tag}`, 'approver')
  return { proposer: proposer.token, approver: approver.token }
}

export const webSpec = (basePort: number, extra: Record<string, unknown> = {}) => ({
  kind: 'process',
  role: 'web',
  lifetime: 'supervisor',
  criticality: 'low',
  command: process.execPath,
  arguments: ['server.mjs'],
  folder: 'examples/web',
  health_url: 'http://127.0.0.1:{port}/healthz',
  base_port: basePort,
  replicas: 1,
  configuration: '{"greeting":"hello"}',
  ...extra,
})

export const operation = (assetId: string, name: string, spec: Record<string, unknown> = {}) => ({
  kind: 'asset-operation',
  asset_id: assetId,
  operation: name,
  spec,
  reason: `the test wants ${name}`,
})

export async function propose(
  product: Product,
  token: string,
  body: unknown,
): Promise<ProposalView> {
  const answer = await product.request<ProposalView>('POST', '/v1/proposals', { token, body })
  if (answer.status !== 201)
    throw new Error(`POST /v1/proposals answered ${answer.status}: ${answer.text}`)
  return answer.body
}

export const proposalOf = (product: Product, id: string) =>
  product.get<ProposalView>(`/v1/proposals/${id}`)

/** Waits until a proposal reached one of the statuses. */
export const reached = (
  product: Product,
  id: string,
  statuses: readonly string[] = ended,
  timeoutMs = 60_000,
) =>
  eventually(
    `proposal ${id} reaching ${statuses.join(' or ')}`,
    async () => {
      const view = await proposalOf(product, id)
      return statuses.includes(view.status) ? view : undefined
    },
    timeoutMs,
  )

/** Waits until the timeline of a proposal holds an event: that of its workflow's end follows its own. */
export const holding = (product: Product, id: string, type: string) =>
  eventually(`the timeline of ${id} holding ${type}`, async () => {
    const view = await proposalOf(product, id)
    return view.timeline.some((entry) => entry.type === type) ? view : undefined
  })

export async function approve(product: Product, token: string, view: ProposalView): Promise<void> {
  const answer = await product.request('POST', `/v1/proposals/${view.id}/approvals`, {
    token,
    body: { proposal_digest: view.digest },
  })
  if (answer.status >= 300)
    throw new Error(`the approval answered ${answer.status}: ${answer.text}`)
}

/** Proposes, has it approved if policy asks for that, and waits for its end. */
export async function change(
  product: Product,
  { proposer, approver }: People,
  body: unknown,
): Promise<ProposalView> {
  const submitted = await propose(product, proposer, body)
  const decided = await reached(product, submitted.id, [
    'awaiting-approval',
    'enqueued',
    'executing',
    ...ended,
  ])
  if (decided.status === 'awaiting-approval') await approve(product, approver, decided)
  return reached(product, submitted.id)
}

/** Registers and starts a web server of its own ports; answers the first port. */
export async function runningWeb(
  product: Product,
  who: People,
  assetId: string,
  extra: Record<string, unknown> = {},
): Promise<number> {
  const port = await freePorts(8)
  const registered = await change(product, who, {
    kind: 'asset-registration',
    asset_id: assetId,
    operation: 'register',
    spec: webSpec(port, extra),
    reason: 'the test needs a web server',
  })
  if (registered.status !== 'completed')
    throw new Error(`registration ended ${registered.status}: ${JSON.stringify(registered.ended)}`)
  const started = await change(product, who, operation(assetId, 'start'))
  if (started.status !== 'completed')
    throw new Error(`start ended ${started.status}: ${JSON.stringify(started.ended)}`)
  return port
}

export const assetOf = (product: Product, id: string, at?: string) =>
  product.get<AssetView>(
    `/v1/assets/${id}${at === undefined ? '' : `?at=${encodeURIComponent(at)}`}`,
  )

export async function greeting(port: number): Promise<string> {
  const answer = (await (await fetch(`http://127.0.0.1:${port}/`)).json()) as { greeting: string }
  return answer.greeting
}

export async function query<Row = Record<string, unknown>>(
  product: Product,
  sql: string,
  parameters: Record<string, unknown> = {},
): Promise<Row[]> {
  const answer = await product.request<{ rows: Row[] }>('POST', '/v1/query', {
    token: product.adminToken,
    body: { sql, parameters },
  })
  if (answer.status !== 200) throw new Error(`the query answered ${answer.status}: ${answer.text}`)
  return answer.body.rows
}

/** Asks again until the projection has reached what is looked for. */
export const queried = <Row = Record<string, unknown>>(
  product: Product,
  sql: string,
  enough: (rows: Row[]) => boolean = (rows) => rows.length > 0,
) =>
  eventually(`rows of ${sql}`, async () => {
    const rows = await query<Row>(product, sql)
    return enough(rows) ? rows : undefined
  })
