import { randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { ApiOptions, ApiParts } from '../../src/api/parts.js'
import { buildServer } from '../../src/api/server.js'
import { createSessions } from '../../src/api/sessions.js'
import { createAssetDirectory } from '../../src/assets/directory.js'
import { lateGraphs, lateGraphText, lineageOver } from '../../src/compose-lineage.js'
import { EvidenceError } from '../../src/contracts/errors.js'
import type { AccessRole } from '../../src/contracts/identifiers.js'
import { ledgerStream } from '../../src/ledger/adapters/ledger-clock.js'
import type { JournalLedger, JournalOptions } from '../../src/ledger/adapters/open-journal.js'
import {
  createClientWriter,
  createLedgerWriter,
  createRecordWriter,
} from '../../src/ledger/writers.js'
import { createCedarEngine } from '../../src/proposals/adapters/cedar.js'
import { readPolicyFolder } from '../../src/proposals/adapters/policy-folder.js'
import type { ProposalDesk } from '../../src/proposals/proposal.js'
import { createAssetViews } from '../../src/runtime/asset-view.js'
import { bootstrapLedger } from '../../src/runtime/bootstrap.js'
import { createIdentities, newToken, sha256Hex } from '../../src/runtime/identities.js'
import { readingView } from '../../src/runtime/ledger-view.js'
import { headsOf } from './heads.js'
import { openTestLedger } from './ledger.js'
import { bootstrapFolder } from './proposals.js'

export interface TestAnswer<Body = unknown> {
  readonly status: number
  readonly body: Body
  readonly text: string
  readonly headers: Headers
}

export interface Sent {
  readonly token?: string
  /** A string or bytes are sent as they are, anything else as JSON. */
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

/** The real server over a real ledger, listening on a free port of loopback. */
export interface TestApi {
  readonly app: FastifyInstance
  readonly parts: ApiParts
  readonly ledger: JournalLedger
  readonly folder: string
  readonly url: string
  /** The administrator's token. */
  readonly admin: string
  readonly clock: { nowMs: number }
  token(name: string, ...access: AccessRole[]): Promise<string>
  send<Body = unknown>(method: string, path: string, sent?: Sent): Promise<TestAnswer<Body>>
}

const noDesk = (): never => {
  throw new EvidenceError('PROPOSAL_NOT_FOUND', 'this test has no desk')
}

/** A desk for tests that have nothing to do with proposals. */
export const emptyDesk: ProposalDesk = {
  submit: noDesk,
  simulate: noDesk,
  approve: noDesk,
  reject: noDesk,
  comment: noDesk,
  withdraw: noDesk,
  cancel: noDesk,
  advance: noDesk,
  get: async () => undefined,
  list: async () => [],
}

export async function openTestApi(
  t: Test,
  options: Partial<ApiOptions> & {
    readonly parts?: Partial<ApiParts>
    readonly desk?: (ledger: JournalLedger) => ProposalDesk
    readonly journal?: Partial<JournalOptions>
  } = {},
): Promise<TestApi> {
  const { ledger, folder, clock } = await openTestLedger(t, options.journal)
  const now = () => clock.nowMs
  const admin = newToken()
  const engine = createCedarEngine()
  const policy = readPolicyFolder(bootstrapFolder)
  const { bundleDigest, schemaDigest } = engine.prepare(policy)
  await bootstrapLedger(ledger, createLedgerWriter(ledger), {
    policy,
    policyDigest: bundleDigest,
    schemaDigest,
    administratorTokenSha256: sha256Hex(admin),
    ledgerStream: ledgerStream(ledger.origin),
    newId: randomUUID,
  })
  const view = readingView(ledger)
  const recorder = createRecordWriter(ledger)
  const identities = createIdentities(view, recorder, now)
  const parts: ApiParts = {
    ledger: view,
    heads: await headsOf(t, ledger),
    desk: options.desk?.(ledger) ?? emptyDesk,
    identities,
    sessions: createSessions({ key: randomBytes(32), identities, now }),
    recorder,
    clients: createClientWriter(ledger),
    rawLeaves: ledger.interoperability ? ledger : null,
    policies: engine,
    assets: createAssetViews(view, createAssetDirectory(view)),
    lineage: lineageOver(view, options.desk?.(ledger) ?? emptyDesk),
    graphText: lateGraphText,
    graphs: lateGraphs(view),
    queries: { query: async () => [{ one: 1 }] },
    projections: {
      progress: () => [{ table: 'events', position: ledger.size() }],
      rebuild: async () => {},
    },
    health: async () => ({ ready: true, parts: [{ name: 'ledger', status: 'ok', detail: '' }] }),
    ...options.parts,
  }
  const app = await buildServer(parts, { host: '127.0.0.1', portalFolder: null, ...options })
  t.teardown(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  // A server that listens on TCP has an address of this form.
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`

  const send: TestApi['send'] = async <Body>(
    method: string,
    path: string,
    { token, body, headers }: Sent = {},
  ) => {
    const raw = typeof body === 'string' || body instanceof Uint8Array
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined || raw ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const json = (response.headers.get('content-type') ?? '').includes('json')
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: (json ? JSON.parse(text) : undefined) as Body,
    }
  }

  return {
    app,
    parts,
    ledger,
    folder,
    url,
    admin,
    clock,
    send,
    async token(name, ...access) {
      const answer = await send<{ token: string }>('POST', '/v1/tokens', {
        token: admin,
        body: { name, access },
      })
      if (answer.status !== 201) throw new Error(`no token for ${name}: ${answer.text}`)
      return answer.body.token
    },
  }
}

/** A CloudEvent of the contract `evidence.recorded`. */
export const cloudEvent = (fields: Record<string, unknown> = {}) => ({
  specversion: '1.0',
  id: randomUUID(),
  source: 'test',
  type: 'evidence.recorded',
  subject: 'case-1',
  data: { sha256: 'a'.repeat(64), media_type: 'text/plain', size: 1 },
  ...fields,
})

export const structured = { 'content-type': 'application/cloudevents+json' }
export const batch = { 'content-type': 'application/cloudevents-batch+json' }
