import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { checkHeard, nothingHeard, runAppender } from '../support/appender.js'
import { temporaryFolder } from '../support/ledger.js'

/** Calls of the operating system that change or sync files. Their times per run are counted first. */
const calls = ['pwrite64', 'fdatasync', 'fsync', 'rename', 'ftruncate'] as const
/** No run makes more of one call than this; beyond it something loops. */
const timesMax = 60
/** One thread, so that a count of calls is one of the process; few appends with roll-over, then a close. */
const env = { UV_THREADPOOL_SIZE: '1' }
const argsOf = (folder: string) => [folder, '2', '4', '900']

const strace = (output: string, ...options: string[]) => [
  'strace',
  '-f',
  '-qq',
  '--seccomp-bpf',
  '-o',
  output,
  ...options,
]

/** Why the test is skipped, or false; in CI strace is installed and permitted. */
function requireStrace(): string | false {
  if (process.env['CI'] === 'true') return false
  const tried = spawnSync('strace', ['-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', 'true'])
  return tried.status === 0 ? false : 'strace is missing or may not trace (Debian package strace)'
}

t.test(
  'every real write, sync, rename and truncate fails, and the process is killed at each: nothing acknowledged is lost',
  { skip: requireStrace(), timeout: 300_000 },
  async (t) => {
    const top = await temporaryFolder(t)
    const trace = join(top, 'trace')
    const counted = nothingHeard()
    await runAppender(counted, {
      args: argsOf(join(top, 'counted')),
      env,
      wrapper: strace(trace, '-e', `trace=${calls.join(',')}`),
    })
    const lines = readFileSync(trace, 'utf8').split('\n')
    const cases: { call: string; when: number; what: string }[] = []
    for (const call of calls) {
      const times = lines.filter((line) => line.includes(` ${call}(`)).length
      t.ok(times > 0 && times <= timesMax, `${times} times ${call}`)
      const faults = ['error=EIO', 'signal=KILL', ...(call === 'pwrite64' ? ['error=ENOSPC'] : [])]
      for (let when = 1; when <= times; when += 1)
        for (const what of faults) cases.push({ call, when, what })
    }
    t.comment(`${cases.length} runs`)

    const one = async ({ call, when, what }: (typeof cases)[number]) => {
      const name = `${call} number ${when}, ${what}`
      const folder = join(top, name.replace(/\W/g, '-'))
      await mkdir(folder)
      const heard = nothingHeard()
      const options = ['-e', `trace=${call}`, '-e', `inject=${call}:${what}:when=${when}`]
      const wrapper = strace(`${folder}.trace`, ...options)
      await runAppender(heard, { args: argsOf(folder), env, wrapper })
      await checkHeard(folder, heard).catch((error: unknown) =>
        t.fail(name, { found: error instanceof Error ? error.stack : error }),
      )
    }
    const worker = async () => {
      for (let next = cases.shift(); next !== undefined; next = cases.shift()) await one(next)
    }
    await Promise.all([worker(), worker()])
  },
)
