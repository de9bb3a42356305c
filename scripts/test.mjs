// Runs the tests and prints only what somebody must act on: failures with their diagnostics, skips
// with their reason, and one closing line. A test is a `t.test` without tests of its own, or a file
// without any; assertions are not counted.
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureBuilt, repository } from './built.mjs'
import { readTap } from './tap-tally.mjs'

const stderrLinesMax = 200

const { values, positionals } = parseArgs({
  options: {
    /** Bound on one test file, in seconds. */
    timeout: { type: 'string', default: '900' },
    /** For tests that need no build of the product. */
    'no-build': { type: 'boolean', default: false },
  },
  allowPositionals: true,
})

/** Test files named by files, folders or beginnings of names: `test/ledger`, `test/ledger/merkle`. */
function testFiles(names) {
  const all = readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })
    .map((file) => `test/${file}`)
    .filter((file) => file.endsWith('.test.ts') && statSync(join(repository, file)).isFile())
    .sort()
  if (names.length === 0) return all
  const chosen = new Set()
  for (const name of names) {
    const wanted = name.replace(/^\.\//, '').replace(/\/$/, '')
    const found = all.filter(
      (file) => file === wanted || file.startsWith(`${wanted}/`) || file.startsWith(`${wanted}.`),
    )
    if (found.length === 0) throw new Error(`no test file is named ${name}`)
    for (const file of found) chosen.add(file)
  }
  return [...chosen].sort()
}

function runTap(files) {
  mkdirSync(join(repository, '.tap'), { recursive: true })
  const stderrFile = join(repository, '.tap', `stderr-${process.pid}.log`)
  const child = spawn(
    process.execPath,
    [
      join(repository, 'node_modules/tap/dist/esm/run.mjs'),
      'run',
      '--reporter=tap',
      '--disable-coverage',
      '--allow-empty-coverage',
      `--timeout=${values.timeout}`,
      ...files,
    ],
    { cwd: repository, stdio: ['ignore', 'pipe', openSync(stderrFile, 'w')] },
  )
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  const ended = new Promise((done, failed) => {
    child.on('error', failed)
    child.on('close', (code, signal) => done(code ?? signal))
  })
  return { stdout: child.stdout, ended, stderrFile }
}

async function main() {
  const files = testFiles(positionals)
  if (!values['no-build']) await ensureBuilt()
  const { stdout, ended, stderrFile } = runTap(files)
  const tally = await readTap(stdout, (line) => console.log(line))
  const code = await ended

  const ran = tally.passed + tally.failed
  const nothing = ran === 0 && tally.skipped === 0
  if (nothing || (code !== 0 && tally.failed === 0)) {
    tally.failed += 1
    console.log(nothing ? 'FAILED no test ran' : `FAILED the test runner ended with ${code}`)
  }
  if (tally.failed > 0 && existsSync(stderrFile)) {
    const lines = readFileSync(stderrFile, 'utf8').trimEnd().split('\n')
    if (lines.join('') !== '') {
      console.log(
        `\nstandard error of the tests, last ${Math.min(lines.length, stderrLinesMax)} of ${lines.length} lines:`,
      )
      console.log(lines.slice(-stderrLinesMax).join('\n'))
    }
  }
  if (tally.failed === 0) rmSync(stderrFile, { force: true })
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : ''
  console.log(`\n${tally.passed} passed, ${tally.failed} failed${skipped}`)
  return tally.failed === 0 && ran > 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  console.log(`FAILED ${error.message}\n\n0 passed, 1 failed`)
  process.exitCode = 1
}
