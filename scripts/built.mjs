// What every script needs before it can run the product: a build that is not older than its inputs.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export const repository = resolve(import.meta.dirname, '..')
export const cli = join(repository, 'dist', 'cli', 'main.js')

const at = (...parts) => join(repository, ...parts)
const lockWaitMs = 180_000

/** Every file below the given paths, sorted, relative to the repository. */
const filesBelow = (paths) =>
  paths
    .filter((path) => existsSync(at(path)))
    .flatMap((path) =>
      statSync(at(path)).isFile()
        ? [path]
        : readdirSync(at(path), { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => relative(repository, join(entry.parentPath, entry.name))),
    )
    .sort()

const digestOf = (files) => {
  const digest = createHash('sha256')
  for (const file of files)
    digest
      .update(`${file}\0`)
      .update(readFileSync(at(file)))
      .update('\0')
  return digest.digest('hex')
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: repository, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0)
    throw new Error(`${args.find((arg) => !arg.startsWith('-'))} ended with ${status}`)
}

const node = (...args) => run(process.execPath, args)

/** The compiler never removes what it once wrote: a module deleted from src must not live on in dist. */
function dropOrphans() {
  for (const file of filesBelow(['dist'])) {
    const source = file.replace(/^dist/, 'src').replace(/\.js(\.map)?$/, '')
    const ours = /\.js(\.map)?$/.test(file) && !/^dist\/(portal|workflows?)[/.-]/.test(file)
    if (ours && !existsSync(at(`${source}.ts`)) && !existsSync(at(`${source}.tsx`))) {
      rmSync(at(file))
    }
  }
}

/** The parts of a build: the files each is made from, what must be there afterwards, how it is made. */
const parts = {
  code: {
    inputs: () => [
      ...filesBelow(['src', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']).filter(
        (file) => !file.startsWith('src/portal/'),
      ),
    ],
    output: 'dist/cli/main.js',
    make(force) {
      if (force) rmSync(at('dist/.tsbuildinfo'), { force: true })
      dropOrphans()
      node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json')
      if (existsSync(cli)) chmodSync(cli, 0o755)
    },
  },
  workflows: {
    inputs: () =>
      filesBelow([
        'src/runtime',
        'src/contracts',
        'src/proposals',
        'src/ledger',
        'package-lock.json',
      ]).concat(filesBelow(['scripts/build-workflows.mjs'])),
    output: 'dist',
    make() {
      if (existsSync(at('scripts/build-workflows.mjs'))) node('scripts/build-workflows.mjs')
    },
  },
  portal: {
    inputs: () =>
      filesBelow([
        'src/portal',
        'src/contracts',
        'src/ledger',
        'schemas/openapi.json',
        'package-lock.json',
      ]),
    output: 'dist/portal/index.html',
    make() {
      if (!existsSync(at('src/portal/vite.config.ts'))) return
      node(
        'node_modules/vite/bin/vite.js',
        'build',
        '--logLevel',
        'warn',
        '--config',
        'src/portal/vite.config.ts',
      )
    },
  },
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** One build at a time in a checkout: the second waits for the first and then finds its work done. */
async function locked(work) {
  const lock = at('dist', '.building')
  mkdirSync(at('dist'), { recursive: true })
  const end = Date.now() + lockWaitMs
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      const holder = Number(existsSync(lock) ? readFileSync(lock, 'utf8') : '0')
      if (holder > 0 && !isAlive(holder)) rmSync(lock, { force: true })
      else if (Date.now() > end) throw new Error(`another build holds ${lock}`, { cause: error })
      else await pause(100)
    }
  }
  try {
    return await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

/**
 * Makes what is older than its inputs and answers the names of the parts it made. A stamp is
 * written after each part, so an interrupted build goes on where it stopped.
 */
export async function ensureBuilt({
  only = Object.keys(parts),
  force = false,
  say = console.error,
} = {}) {
  return locked(async () => {
    const stampFile = at('dist', '.stamp.json')
    const stamp = existsSync(stampFile) ? JSON.parse(readFileSync(stampFile, 'utf8')) : {}
    const made = []
    for (const name of only) {
      const part = parts[name]
      const digest = digestOf(part.inputs())
      if (!force && stamp[name] === digest && existsSync(at(part.output))) continue
      say(`building ${name}`)
      part.make(force)
      stamp[name] = digest
      writeFileSync(stampFile, `${JSON.stringify(stamp, null, 2)}\n`)
      made.push(name)
    }
    return made
  })
}

/** The commit a checkout stands on, for reports; "unknown" outside a repository. */
export function commit() {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: repository,
      encoding: 'utf8',
    }).trim()
  } catch {
    return 'unknown'
  }
}
