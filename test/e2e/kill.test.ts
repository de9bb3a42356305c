import { createHash, randomInt } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { EventView, ProposalView } from '../../src/contracts/http.js'
import {
  approve,
  ended,
  greeting,
  operation,
  people,
  type People,
  propose,
  proposalOf,
  query,
  reached,
  runningWeb,
} from '../support/change.js'
import { eventually, type Product, repository, runCli, startProduct } from '../support/product.js'
import { requireTemporal } from '../support/temporal.js'

const rounds = Number(process.env['FRACTALOPS_TEST_KILL_ROUNDS'] ?? '10')
const terminal = ['proposal.completed', 'proposal.failed', 'proposal.expired', 'proposal.rejected']
const logFile = join(repository, '.tap', 'kill-rounds.log')

const note = (line: string) => {
  mkdirSync(join(repository, '.tap'), { recursive: true })
  appendFileSync(logFile, `${new Date().toISOString()} ${line}\n`)
}

/** Every event of the ledger, oldest first. */
async function allEvents(product: Product): Promise<EventView[]> {
  const events: EventView[] = []
  let cursor: string | null = null
  do {
    const page: { items: EventView[]; next_cursor: string | null } = await product.get(
      `/v1/events?limit=500${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    events.push(...page.items)
    cursor = page.next_cursor
  } while (cursor !== null)
  return events
}

const serverOf = (product: Product): { pid: number } | undefined => {
  const path = join(product.data, 'temporal', 'server.json')
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }) : undefined
}

/** Submits and approves changes until the service dies under it; answers what was acknowledged. */
async function load(
  product: Product,
  who: People,
  acknowledged: Set<string>,
  until: Promise<void>,
): Promise<void> {
  let dead = false
  void until.then(() => (dead = true))
  for (let turn = 0; !dead && turn < 500; turn += 1) {
    try {
      const body =
        turn % 3 === 0
          ? operation('web-01', 'configure', {
              configuration: JSON.stringify({ greeting: `turn ${turn}` }),
            })
          : turn % 3 === 1
            ? operation('web-01', 'scale', { replicas: 1 + (turn % 2) })
            : operation('web-01', 'restart')
      const submitted = await propose(product, who.proposer, body)
      acknowledged.add(submitted.id)
      const view = await reached(product, submitted.id, ['awaiting-approval', ...ended], 20_000)
      if (view.status === 'awaiting-approval') await approve(product, who.approver, view)
      if (turn % 2 === 0) await reached(product, submitted.id, ended, 20_000)
    } catch (error) {
      if (!dead) await Promise.race([until, new Promise((done) => setTimeout(done, 50))])
      if (!dead && !(error instanceof TypeError))
        note(`turn ${turn}: ${String(error).slice(0, 200)}`)
    }
  }
}

/** The content of every fact table, as one digest per table. */
async function factDigests(product: Product): Promise<Record<string, string>> {
  const tables = await query<{ name: string }>(
    product,
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name NOT LIKE 'projection%' ORDER BY name",
  )
  const digests: Record<string, string> = {}
  for (const { name } of tables) {
    const rows = await query<{ row: string }>(
      product,
      `SELECT toString(tuple(*)) AS row FROM ${name} FINAL ORDER BY row`,
    )
    digests[name] = `${rows.length} rows ${createHash('sha256')
      .update(rows.map((r) => r.row).join('\n'))
      .digest('hex')
      .slice(0, 16)}`
  }
  return digests
}

const foldedTo = (product: Product, position: number) =>
  eventually('the fact tables reaching the head', async () => {
    const answer = await product.request<{ position: string }>('POST', '/v1/query', {
      token: product.adminToken,
      body: { sql: 'SELECT 1 AS one' },
    })
    return Number(answer.body.position) >= position ? true : undefined
  })

/** Approves what can still be approved; a proposal that its asset has left behind is rejected. */
async function decide(product: Product, token: string, view: ProposalView): Promise<void> {
  const body = { proposal_digest: view.digest }
  const approvals = `/v1/proposals/${view.id}/approvals`
  const approved = await product.request<{ code?: string }>('POST', approvals, { token, body })
  if (approved.status < 300) return
  if (approved.body.code !== 'STATE_REVISION_STALE')
    throw new Error(`the approval answered ${approved.status}: ${approved.text}`)
  const rejected = await product.request('POST', `/v1/proposals/${view.id}/rejections`, {
    token,
    body: { ...body, reason: 'its asset has moved on' },
  })
  if (rejected.status >= 300)
    throw new Error(`the rejection answered ${rejected.status}: ${rejected.text}`)
}

t.test(
  `kill -9 at random moments, ${rounds} rounds: every proposal ends exactly once`,
  { skip: requireTemporal(), timeout: 60_000 + rounds * 60_000 },
  async (t) => {
    const product = await startProduct(t)
    const who = await people(product)
    await runningWeb(product, who, 'web-01')
    const acknowledged = new Set<string>()
    const seen = new Map<string, string>()

    for (let round = 0; round < rounds; round += 1) {
      let died = () => {}
      const death = new Promise<void>((done) => (died = done))
      const working = load(product, who, acknowledged, death)
      const after = randomInt(200, 6_000)
      await new Promise((done) => setTimeout(done, after))
      for (const event of await allEvents(product)) seen.set(event.id, event.leafhash)
      const alsoTemporal = round % 2 === 1
      const server = serverOf(product)
      await product.kill()
      if (alsoTemporal && server !== undefined) process.kill(server.pid, 'SIGKILL')
      died()
      await working
      await product.start()
      note(
        `round ${round}: killed after ${after} ms${alsoTemporal ? ' with Temporal' : ''}; ${acknowledged.size} proposals, ${seen.size} events seen`,
      )
    }

    for (const id of acknowledged) {
      const decided = await reached(product, id, ['awaiting-approval', ...ended], 120_000)
      if (decided.status === 'awaiting-approval') await decide(product, who.approver, decided)
    }
    for (const id of acknowledged) await reached(product, id, ended, 120_000)

    const events = await allEvents(product)
    const ids = new Map(events.map((event) => [event.id, event]))
    t.equal(ids.size, events.length, 'no event stands twice')
    for (const [id, leafHash] of seen)
      if (ids.get(id)?.leafhash !== leafHash)
        t.fail(`event ${id} that was answered is missing or changed`)
    for (const id of acknowledged) {
      const ends = events.filter(
        (event) => event.stream === `proposal-${id}` && terminal.includes(event.type),
      )
      const denied = (await proposalOf(product, id)).status
      if (ends.length !== (['denied', 'indeterminate'].includes(denied) ? 0 : 1))
        t.fail(`proposal ${id} (${denied}) ended ${ends.length} times`)
    }
    for (const intent of events.filter((event) => event.type === 'asset.mutation-intended')) {
      const outcomes = events.filter(
        (event) =>
          ['asset.mutated', 'asset.mutation-failed', 'asset.resolved'].includes(event.type) &&
          (event.data as { mutation_id?: string }).mutation_id === intent.id,
      )
      if (outcomes.length !== 1) t.fail(`mutation ${intent.id} has ${outcomes.length} outcomes`)
    }

    const head = events.length
    await foldedTo(product, head)
    const folded = await factDigests(product)
    const rebuilt = await runCli(['rebuild', '--data', product.data])
    t.equal(rebuilt.code, 0, rebuilt.stderr)
    await foldedTo(product, head)
    t.strictSame(await factDigests(product), folded, 'the fact tables equal a fresh rebuild')
    await product.stop()
    const fsck = await runCli(['fsck', '--data', product.data])
    t.equal(fsck.code, 0, fsck.stdout + fsck.stderr)
  },
)

t.test(
  'killed between the outcome and its completion while the asset changes: the outcome stands once',
  { skip: requireTemporal(), timeout: 120_000 },
  async (t) => {
    const product = await startProduct(t)
    const who = await people(product)
    const port = await runningWeb(product, who, 'web-01')
    const live = new AbortController()
    const stream = await fetch(`${product.url}/v1/live?types=asset.mutated`, {
      headers: { authorization: `Bearer ${product.adminToken}` },
      signal: live.signal,
    })
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader()

    const submitted = await propose(
      product,
      who.proposer,
      operation('web-01', 'configure', { configuration: '{"greeting":"once"}' }),
    )
    await approve(
      product,
      who.approver,
      await reached(product, submitted.id, ['awaiting-approval']),
    )
    for (let text = ''; !text.includes('asset.mutated');)
      text += (await reader?.read())?.value ?? ''
    await product.kill()
    live.abort()
    const pid = await (
      await fetch(`http://127.0.0.1:${port}/`)
    )
      .json()
      .then((body: unknown) => (body as { pid: number }).pid)
    process.kill(pid, 'SIGKILL')
    await product.start()

    const view = await reached(product, submitted.id)
    t.equal(view.status, 'completed')
    const outcomes = view.timeline.filter((entry) =>
      ['asset.mutated', 'asset.mutation-failed', 'asset.resolved'].includes(entry.type),
    )
    t.equal(outcomes.length, 1, 'one outcome')
    await eventually('the exit being observed', async () => {
      const asset = await product.get<{ state: { run_state: string } }>('/v1/assets/web-01')
      return asset.state.run_state === 'degraded' ? true : undefined
    })
    await t.rejects(greeting(port), 'it was not started again: that is a proposal')
  },
)
