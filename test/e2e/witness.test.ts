import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { HudView } from '../../src/contracts/http.js'
import { cleanEnv, cliPath, eventually, freePorts, Product, runCli } from '../support/product.js'

const parts = ['--components', 'ledger,api']

/** A witness process of the built product, on a port that stays its own. */
class WitnessProcess {
  child: ChildProcess | undefined

  constructor(
    readonly state: string,
    private readonly port: number,
    private readonly name: string,
    private readonly logs: string,
  ) {}

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  get vkey() {
    return readFileSync(join(this.state, 'witness.vkey'), 'utf8').trim()
  }

  async start(): Promise<void> {
    const addresses = join(this.state, 'addresses.json')
    rmSync(addresses, { force: true })
    const flags = ['--components', 'witness', '--witness', `127.0.0.1:${this.port}`]
    const env = cleanEnv({
      FRACTALOPS_WITNESS_STATE: this.state,
      FRACTALOPS_WITNESS_LOGS: this.logs,
      FRACTALOPS_WITNESS_NAME: this.name,
    })
    const child = spawn(process.execPath, [cliPath, 'up', ...flags], { env, stdio: 'ignore' })
    this.child = child
    await eventually('the witness listening', () => {
      if (child.exitCode !== null) throw new Error(`the witness ended with ${child.exitCode}`)
      return existsSync(addresses) ? true : undefined
    })
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = this
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
}

async function record(product: Product, token: string, subject: string): Promise<string> {
  const id = crypto.randomUUID()
  const answer = await product.request('POST', '/v1/evidence', {
    token,
    headers: { 'content-type': 'application/cloudevents+json' },
    body: {
      specversion: '1.0',
      id,
      source: 'test',
      type: 'evidence.recorded',
      subject,
      data: { sha256: 'a'.repeat(64), media_type: 'text/plain', size: 1 },
    },
  })
  if (answer.status >= 300) throw new Error(`not recorded: ${answer.status} ${answer.text}`)
  return id
}

const witnesses = async (product: Product) =>
  (await product.get<HudView>('/v1/hud')).parts.find(({ name }) => name === 'witnesses')

async function prepare(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'fractalops-witness-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const data = join(root, 'data')
  const first = new Product(data, parts, {})
  t.teardown(() => first.stop())
  await first.start()
  const key = (await first.request('GET', '/v1/checkpoint/key')).text.trim()
  const { token } = await first.token('ada', 'proposer')
  await first.stop()

  const logs = join(root, 'logs')
  writeFileSync(logs, `log ${key}\n`)
  const port = await freePorts(2)
  const running = [0, 1].map(
    (i) => new WitnessProcess(join(root, `w${i}`), port + i, `w.example/${i}`, logs),
  )
  for (const witness of running) {
    t.teardown(() => witness.end('SIGTERM'))
    await witness.start()
  }
  const lines = running.map(({ vkey, url }, i) => `witness w${i} ${vkey} ${url}\n`).join('')
  const policy = join(root, 'policy')
  writeFileSync(policy, `log ${key}\n${lines}group both all w0 w1\nquorum both\n`)
  const env = { FRACTALOPS_WITNESS_POLICY: policy, FRACTALOPS_WITNESS_INTERVAL_MS: '100' }
  return { root, data, key, token, running, policy, env }
}

t.test(
  'two witnesses cosign what is recorded, go and come back, and tell of a rollback',
  async (t) => {
    const { root, data, key, token, running, policy, env } = await prepare(t)
    const [, second] = running
    if (second === undefined) throw new Error('there is no second witness')
    const product = new Product(data, parts, env)
    t.teardown(() => product.stop())
    await product.start()

    // A proof under the cosignatures of both, judged offline by a policy.
    const id = await record(product, token, 'one')
    const proof = join(root, 'one.proof.json')
    const proved = await runCli(['prove', id, '--witnessed', '-o', proof, '--data', data])
    t.equal(proved.code, 0, proved.stderr)
    const verified = await runCli(['verify', proof, '--policy', policy])
    t.equal(verified.code, 0, verified.stderr)
    t.match(verified.stdout, /trust level: 2 witnesses of your policy \(w0, w1\)/)
    t.equal((await runCli(['verify', proof, '--key', key])).code, 0)
    const stricter = join(root, 'stricter')
    writeFileSync(
      stricter,
      readFileSync(policy, 'utf8')
        .replace(/^witness w1 .*\n/m, '')
        .replace('w0 w1', 'w0') + '# the quorum below is of one alone\n',
    )
    t.equal((await runCli(['verify', proof, '--policy', stricter])).code, 0)
    const selfSigned = join(root, 'self.proof.json')
    const own = await product.request('GET', `/v1/events/${id}/proof?witnessed=false`, { token })
    writeFileSync(selfSigned, own.text)
    const missed = await runCli(['verify', selfSigned, '--policy', policy])
    t.equal(missed.code, 3)
    t.match(missed.stderr, /too few witnesses.*2 of both \(w0, w1\)/)
    t.match(
      await eventually('the shown trust', async () => {
        const { trust } = await product.get<HudView>('/v1/hud')
        return trust === '2 witnesses' ? trust : undefined
      }),
      '2 witnesses',
    )
    t.match(
      (await product.request('GET', '/metrics', { token })).text,
      /witness_size\{witness="w1"\} \d/,
    )

    // What a copy of now would be restored from later.
    await product.stop()
    const backup = join(root, 'backup')
    cpSync(data, backup, { recursive: true })
    await product.start()

    // One witness is killed: it is seen, nothing waits for it, and it catches up.
    await second.end('SIGKILL')
    const missing = await record(product, token, 'two')
    await eventually('the missing witness being shown', async () => {
      const part = await witnesses(product)
      return part?.status === 'lagging' && part.detail.includes('w1: ') ? true : undefined
    })
    t.equal((await product.request('GET', '/readyz')).status, 200)
    await second.start()
    await eventually('both following again', async () =>
      (await witnesses(product))?.status === 'ok' ? true : undefined,
    )
    const again = await product.request('GET', `/v1/events/${missing}/proof?witnessed`, { token })
    t.equal(again.status, 200)
    await product.stop()

    // The older copy takes the place of the ledger.
    rmSync(data, { recursive: true })
    cpSync(backup, data, { recursive: true })
    const refused = await runCli(['up', '--data', data, '--http', '127.0.0.1:0', ...parts], env)
    t.equal(refused.code, 1)
    t.match(refused.stderr, /not the one that others saw.*w0 saw \d+ leaves/)
    const told = new Product(data, [...parts, '--accept-rollback'], env)
    t.teardown(() => told.stop())
    await told.start()
    await eventually('the alarm', async () => {
      const { items } = await told.get<{ items: { actor: string; data: { alarm: string } }[] }>(
        '/v1/events?type=ledger.alarm-raised',
      )
      return items.some(
        ({ actor, data: { alarm } }) =>
          actor === 'witnesses' && alarm === 'checkpoint-not-reconciled',
      )
        ? true
        : undefined
    })
    t.equal((await witnesses(told))?.status, 'down')
    await told.stop()
  },
)

t.test('a witness keeps nothing inside the data folder', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'fractalops-witness-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  writeFileSync(join(root, 'logs'), '')
  const env = { FRACTALOPS_WITNESS_LOGS: join(root, 'logs') }
  const up = [
    'up',
    '--components',
    'witness',
    '--witness',
    '127.0.0.1:0',
    '--data',
    join(root, 'data'),
  ]
  for (const state of ['data', 'data/witness', '.']) {
    const ran = await runCli([...up, '--witness-state', join(root, state)], env)
    t.equal(ran.code, 1, state)
    t.match(ran.stderr, /must not be inside one another/)
  }
  const ran = await runCli(up, env)
  t.match(ran.stderr, /FRACTALOPS_WITNESS_STATE/)
})
