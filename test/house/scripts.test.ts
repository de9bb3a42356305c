import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cleanEnv, eventually, repository } from '../support/product.js'

/** A product that says what it is told; two signals make it end with 9. */
const product = `
let told = 0
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    told += 1
    console.log('told', signal)
    setTimeout(() => process.exit(told === 1 ? 7 : 9), 300)
  })
}
console.log('running', process.pid, process.argv.slice(2).join(' '))
setInterval(() => {}, 1000)
`

/** A checkout with our scripts and a product of one file. */
function checkout(t: Test): string {
  const folder = t.testdir({
    src: { cli: { 'main.ts': product, 'gone.ts': 'export const one = 1\n' } },
    dist: { portal: { 'index.html': '' } },
  })
  for (const path of [
    'scripts',
    'tsconfig.json',
    'tsconfig.build.json',
    'package.json',
    'package-lock.json',
  ]) {
    cpSync(join(repository, path), join(folder, path), { recursive: true })
  }
  rmSync(join(folder, 'scripts/build-workflows.mjs'), { force: true })
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

const build = (folder: string) =>
  spawnSync(process.execPath, ['scripts/build.mjs'], {
    cwd: folder,
    encoding: 'utf8',
    env: cleanEnv(),
  })

/** Starts a command in a process group of its own and waits until its product runs. */
async function started(t: Test, folder: string, command: string, args: readonly string[]) {
  const child: ChildProcess = spawn(command, args, {
    cwd: folder,
    env: cleanEnv(),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const pid = await eventually('the product running', () => /running (\d+)/.exec(output)?.[1])
  t.teardown(() => {
    if (existsSync(`/proc/${pid}`)) process.kill(Number(pid), 'SIGKILL')
  })
  return { child, pid, output: () => output }
}

t.test('a build makes what is older than its inputs, and nothing else', async (t) => {
  const folder = checkout(t)

  t.match(build(folder), { status: 0, stderr: /built code, workflows/ })
  t.match(build(folder), { status: 0, stderr: /up to date/ })

  rmSync(join(folder, 'src/cli/gone.ts'))
  t.match(build(folder), { status: 0, stderr: /built code/ })
  t.notOk(existsSync(join(folder, 'dist/cli/gone.js')), 'what left the sources leaves the build')

  mkdirSync(join(folder, 'src/api'))
  writeFileSync(join(folder, 'src/api/wrong.ts'), "export const one: number = 'two'\n")
  t.match(build(folder), { status: 1, stdout: /wrong\.ts.*TS2322/, stderr: /the build failed/ })
})

t.test('Ctrl-C reaches the product once, and npm start ends as the product ends', async (t) => {
  const folder = checkout(t)
  build(folder)

  const { child, pid, output } = await started(t, folder, 'npm', [
    'start',
    '--',
    '--http',
    '127.0.0.1:0',
  ])
  const ended = once(child, 'close')
  process.kill(-(child.pid ?? 0), 'SIGINT')
  const [code] = (await ended) as [number | null]

  t.match(output(), /running \d+ up --install-temporal --http 127\.0\.0\.1:0/)
  t.equal(output().match(/told SIGINT/g)?.length, 1)
  t.equal(code, 7)
  t.notOk(existsSync(`/proc/${pid}`), 'nothing is left behind')
})

t.test('a signal to the script alone reaches the product too', async (t) => {
  const folder = checkout(t)
  build(folder)

  const { child, pid, output } = await started(t, folder, process.execPath, ['scripts/start.mjs'])
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  child.kill('SIGTERM')
  const [code] = (await ended) as [number | null]

  t.equal(output().match(/told SIGTERM/g)?.length, 1)
  t.equal(code, 7)
  t.notOk(existsSync(`/proc/${pid}`), 'nothing is left behind')
})
