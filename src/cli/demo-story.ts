import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import type { ProposalStatus, ProposalView, TokenResponse } from '../contracts/http.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { verifyProofFile } from '../ledger/proof-file.js'
import type { Client } from './connection.js'

const lookIntervalMs = 100
const endTimeoutMs = 120_000
const portTriesMax = 50
/** One port for each replica that the examples may run, with room. */
const portsNeeded = 8
const namesMax = 1_000

const ended: readonly ProposalStatus[] = [
  'completed',
  'failed',
  'denied',
  'indeterminate',
  'rejected',
  'withdrawn',
  'cancelled',
  'expired',
]

export interface DemoOptions {
  /** Speaks to the service as the holder of a token. */
  readonly as: (token: string) => Client
  readonly administrator: Client
  /** Folder with the example proposals. */
  readonly examples: string
  /** Folder for the proof file. */
  readonly proofs: string
  readonly say: (line: string) => void
}

/** Drives the example proposals to their end as two people would, and verifies the proof of one. */
export async function tellDemo(options: DemoOptions): Promise<void> {
  const { say } = options
  const tag = await freeTag(options)
  const people = {
    proposer: await issue(options, `ada${tag}`, 'proposer'),
    approver: await issue(options, `grace${tag}`, 'approver'),
  }
  say(`Two people: ada${tag} proposes, grace${tag} decides.\n`)
  const change = (file: string, expected: ProposalStatus, adapt: Adapt = (body) => body) =>
    drive(options, people, file, expected, (body) =>
      adapt({ ...body, asset_id: `${String(body['asset_id'])}${tag}` }),
    )

  const port = await freePorts()
  const onPort =
    (first: number): Adapt =>
    (body) => ({ ...body, spec: { ...objectOf(body['spec']), base_port: first } })
  await change('register-web.json', 'completed', onPort(port))
  await change('start-web.json', 'completed')
  say(`    http://127.0.0.1:${port}/ answers ${await answerOf(port)}\n`)
  await change('scale-web.json', 'completed')
  const configured = await change('configure-web.json', 'completed')
  say(`    http://127.0.0.1:${port}/ answers ${await answerOf(port)}\n`)
  await change('restart-web.json', 'completed')
  await change('denied.json', 'denied')
  await change('register-blank.json', 'completed', onPort(await freePorts()))
  await change('undecidable.json', 'indeterminate')
  await change('failing.json', 'failed')
  await change('configure-web.json', 'completed')
  await prove(options, configured)
}

type Body = Readonly<Record<string, unknown>>
type Adapt = (body: Body) => Body

const objectOf = (value: unknown): Body =>
  typeof value === 'object' && value !== null ? { ...value } : {}

/** Names that an earlier demo took get a number, so that the demo can be run again. */
async function freeTag({ administrator }: DemoOptions): Promise<string> {
  for (let n = 1; n <= namesMax; n += 1) {
    const tag = n === 1 ? '' : `-${n}`
    const page = await administrator.get<{ items: unknown[] }>(
      `/v1/events?stream=identity-ada${tag}&limit=1`,
    )
    if (page.items.length === 0) return tag
  }
  throw new EvidenceError(
    'REVISION_CONFLICT',
    `the demo was run ${namesMax} times on this ledger: use another data folder`,
  )
}

const issue = async (
  { as, administrator }: DemoOptions,
  name: string,
  access: string,
): Promise<Client> => {
  const issued = await administrator.post<z.infer<typeof TokenResponse>>('/v1/tokens', {
    name,
    access: [access],
  })
  return as(issued.token)
}

/** Submits one example, has it approved if policy asks for that, and waits for its end. */
async function drive(
  { examples, say }: DemoOptions,
  people: { readonly proposer: Client; readonly approver: Client },
  file: string,
  expected: ProposalStatus,
  adapt: Adapt,
): Promise<ProposalView> {
  const body = adapt(objectOf(JSON.parse(await readFile(join(examples, file), 'utf8'))))
  const submitted = await people.proposer.post<ProposalView>('/v1/proposals', body)
  say(`${submitted.operation} ${submitted.asset_ids.join(', ')}: ${submitted.reason}`)
  const look = () => people.proposer.get<ProposalView>(`/v1/proposals/${submitted.id}`)
  const until = async (statuses: readonly ProposalStatus[]) => {
    const end = Date.now() + endTimeoutMs
    for (;;) {
      const view = await look()
      if (statuses.includes(view.status)) return view
      if (Date.now() > end)
        throw new EvidenceError(
          'EXECUTION_UNAVAILABLE',
          `the proposal ${view.id} still is ${view.status}: ${view.waiting_for ?? ''}`,
        )
      await pause(lookIntervalMs)
    }
  }

  const decided = await until(['awaiting-approval', 'enqueued', 'executing', ...ended])
  say(`    policy: ${decided.simulated?.outcome ?? 'undecided'}${reasonsOf(decided)}`)
  if (decided.status === 'awaiting-approval') {
    await refuseOwnApproval(people.proposer, decided)
    await people.approver.post(`/v1/proposals/${decided.id}/approvals`, {
      proposal_digest: decided.digest,
    })
    say(`    approved by another person, bound to ${decided.digest.slice(0, 16)}…`)
  }
  const view = await until(ended)
  say(
    `    ${view.status}${view.ended === null ? '' : `: ${view.ended.message}`} (${view.timeline.length} events, the last at position ${view.timeline.at(-1)?.position ?? '?'})`,
  )
  if (view.status !== expected)
    throw new EvidenceError(
      'PROPOSAL_STATE',
      `${file} ended ${view.status}, expected was ${expected}`,
    )
  return view
}

const reasonsOf = ({ simulated }: ProposalView): string =>
  simulated === null || simulated.reasons.length === 0
    ? ''
    : ` (${simulated.reasons.map(({ message }) => message).join('; ')})`

/** The four-eyes rule is shown by trying to break it. */
async function refuseOwnApproval(proposer: Client, view: ProposalView): Promise<void> {
  const refused = await proposer
    .post(`/v1/proposals/${view.id}/approvals`, { proposal_digest: view.digest })
    .then(
      () => false,
      (error: unknown) => error instanceof EvidenceError && error.kind === 'forbidden',
    )
  if (!refused)
    throw new EvidenceError('SELF_APPROVAL', 'a proposer could decide on the own proposal')
}

async function answerOf(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) })
  return (await response.text()).trim().slice(0, 200)
}

/** Writes the proof of the mutation and verifies it with nothing but the file and the key. */
async function prove(
  { administrator, proofs, say }: DemoOptions,
  view: ProposalView,
): Promise<void> {
  const mutation = view.timeline.find(({ type }) => type === 'asset.mutated')
  if (mutation === undefined)
    throw new EvidenceError('EVENT_NOT_FOUND', `no mutation is recorded for ${view.id}`)
  const proof = await administrator.text(`/v1/events/${mutation.event_id}/proof`)
  const vkey = (await administrator.text('/v1/checkpoint/key')).trim()
  await mkdir(proofs, { recursive: true })
  const path = join(proofs, `${mutation.event_id}.proof.json`)
  await writeFile(path, proof)
  await writeFile(join(proofs, 'ledger.vkey'), `${vkey}\n`)
  say(`Proof of the mutation ${mutation.event_id}: ${path}`)
  const report = verifyProofFile(proof, { keys: [vkey] }, nodeCrypto)
  for (const step of report.steps) say(`    ${step.summary}`)
  say(
    `Event ${report.leaf.id} is number ${report.position} of ${report.checkpoint.size} on ${report.checkpoint.origin}: verified`,
  )
}

async function freePorts(): Promise<number> {
  const isFree = (port: number) =>
    new Promise<boolean>((done) => {
      const server = createServer()
      server.once('error', () => {
        done(false)
      })
      server.listen(port, '127.0.0.1', () =>
        server.close(() => {
          done(true)
        }),
      )
    })
  for (let attempt = 0; attempt < portTriesMax; attempt += 1) {
    const first = 18_080 + attempt * portsNeeded
    const free = await Promise.all(Array.from({ length: portsNeeded }, (_, i) => isFree(first + i)))
    if (free.every(Boolean)) return first
  }
  throw new EvidenceError(
    'ADDRESS_IN_USE',
    `no ${portsNeeded} consecutive free ports were found from 18080 on`,
  )
}
