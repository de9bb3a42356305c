import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { EventView } from '../../src/contracts/http.js'
import { queried } from '../support/change.js'
import { runCli, startProduct } from '../support/product.js'

const commits = 3_000

/** A repository of real commits by three authors over a year, made with git's own fast-import. */
function repositoryWithHistory(folder: string): void {
  execFileSync('git', ['init', '-q', '-b', 'main', folder])
  const begin = 1_735_689_600
  const lines: string[] = []
  for (let i = 0; i < commits; i += 1) {
    const author = `${['Ada', 'Grace', 'Edsger Ω'][i % 3]} <p${i % 3}@example.org>`
    const time = begin + Math.floor((i * 365 * 86_400) / commits)
    const message = `change ${i}: "quoted", tab\tand ünïcode`
    const content = `line ${i}\n`
    lines.push(
      'commit refs/heads/main',
      `mark :${i + 1}`,
      `author ${author} ${time} +0000`,
      `committer ${author} ${time} +0000`,
    )
    lines.push(`data ${Buffer.byteLength(message)}`, message)
    if (i > 0) lines.push(`from :${i}`)
    lines.push('M 100644 inline file.txt', `data ${Buffer.byteLength(content)}`, content)
  }
  const made = spawnSync('git', ['-C', folder, 'fast-import', '--quiet'], {
    input: `${lines.join('\n')}\n`,
  })
  if (made.status !== 0) throw new Error(made.stderr.toString())
}

t.test(
  'the history of a git repository becomes evidence, once, and is queried and proven',
  { timeout: 180_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'fractalops-git-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const repository = join(folder, 'history')
    repositoryWithHistory(repository)
    const product = await startProduct(t)

    const first = await runCli(
      ['import', 'git', repository, '--data', product.data, '--json'],
      {},
      120_000,
    )
    t.equal(first.code, 0, first.stderr)
    t.match(JSON.parse(first.stdout), { recorded: commits, repeated: 0 })
    const second = await runCli(
      ['import', 'git', repository, '--data', product.data, '--json'],
      {},
      120_000,
    )
    t.match(JSON.parse(second.stdout), { recorded: 0, repeated: commits })

    const rows = await queried<{ author: string; month: string; commits: string }>(
      product,
      "SELECT attributes['git.author'] AS author, toString(toStartOfMonth(assumeNotNull(occurred_at))) AS month, count() AS commits FROM evidence WHERE media_type = 'application/vnd.git-commit' GROUP BY author, month ORDER BY author, month",
      (found) => found.reduce((sum, row) => sum + Number(row.commits), 0) === commits,
    )
    t.equal(rows.length, 36, 'three authors, twelve months')

    const page = await product.get<{ items: EventView[] }>(
      '/v1/events?type=evidence.recorded&limit=500',
    )
    const chosen = page.items[Math.floor(Math.random() * page.items.length)]
    const proof = join(folder, 'commit.proof.json')
    const key = (await product.request('GET', '/v1/checkpoint/key')).text.trim()
    t.equal(
      (await runCli(['prove', chosen?.id ?? '', '-o', proof, '--data', product.data])).code,
      0,
    )
    t.equal((await runCli(['verify', proof, '--key', key])).code, 0)
  },
)
