import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cleanEnv, repository } from '../support/product.js'

interface Row {
  readonly callers: readonly number[]
  readonly batch: number
  readonly ratios: Readonly<Record<string, number>>
  readonly stores: Readonly<Record<string, { readonly per_second: number }>>
}

interface Run {
  readonly machine: { readonly commit: string; readonly disk: { readonly durable: boolean } }
  readonly figures: {
    readonly append: {
      readonly ratios: readonly { readonly name: string; readonly value: number }[]
      readonly rows: readonly Row[]
    }
  }
}

const bench = (...args: readonly string[]) =>
  spawnSync(process.execPath, ['scripts/bench.mjs', ...args], {
    cwd: repository,
    encoding: 'utf8',
    env: cleanEnv(),
  })

t.test('a run prints ratios first, then tables and JSON, and leaves nothing behind', async (t) => {
  const folder = t.testdir()
  const json = join(folder, 'run.json')
  const quick = ['--seconds', '0.05', '--rounds', '1', '--callers', '1,4', '--batches', '1,10']

  const { status, stdout, stderr } = bench(
    ...['--only', 'append', ...quick, '--peers', '', '--folder', folder, '--json', json],
  )

  t.equal(status, 0, stderr)
  t.ok(stdout.indexOf('appends beside') < stdout.indexOf('== Durable appends in process'))
  const run = JSON.parse(readFileSync(json, 'utf8')) as Run
  t.ok(stdout.includes(JSON.stringify(run, null, 2)), 'the JSON is printed too')
  t.match(run.machine, { commit: String, disk: { durable: Boolean } })
  t.ok(run.figures.append.ratios.every(({ value }) => value > 0))
  t.strictSame(
    run.figures.append.rows.map(({ callers, batch }) => [callers, batch]),
    [
      [[1], 1],
      [[4], 1],
      [[1], 10],
      [[4], 10],
    ],
  )
  for (const { stores, ratios } of run.figures.append.rows) {
    t.strictSame(Object.keys(stores), ['ledger', 'bare', 'disk'])
    t.ok(Object.values(stores).every(({ per_second: rate }) => rate > 0))
    t.ok(Object.values(ratios).every((ratio) => ratio > 0))
  }
  t.strictSame(readdirSync(folder), ['run.json'])
})

t.test('a result is shown again without measuring', async (t) => {
  const folder = t.testdir({
    'run.json': JSON.stringify({
      machine: { disk: { durable: true, sync_4k: {} } },
      settings: { rounds: 1, seconds: 1 },
      figures: {
        append: { title: 'Durable appends in process', reason: 'it was not possible' },
      },
    }),
  })

  const { status, stdout } = bench('--from', join(folder, 'run.json'))

  t.equal(status, 0)
  t.match(stdout, 'skipped: it was not possible')
})

t.test('a figure or a number that does not exist is refused by name', async (t) => {
  const folder = t.testdir()

  t.match(bench('--only', 'speed', '--folder', folder), {
    status: 1,
    stderr: /there is no figure speed: choose of append/,
  })
  t.match(bench('--seconds', 'long', '--folder', folder), {
    status: 1,
    stderr: /--seconds takes numbers above 0, not long/,
  })
  t.notOk(existsSync(join(folder, 'fractalops-bench')))
})
