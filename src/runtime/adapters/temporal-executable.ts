import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { EvidenceError } from '../../contracts/errors.js'

/** The version that is built where none is found; later tags of it refuse `go install`. */
export const temporalVersion = '1.5.1'
const module = `github.com/temporalio/cli/cmd/temporal@v${temporalVersion}`

const installTimeoutMs = 20 * 60_000
const progressIntervalMs = 5_000
const lastLinesMax = 5

export interface ExecutableOptions {
  /** The environment of the service: PATH, HOME and XDG_CACHE_HOME are looked at. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Whether it may be built when it is missing. */
  readonly install: boolean
  /** A line for the person who waits. */
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

const isProgram = async (path: string): Promise<boolean> => {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false
    throw error
  }
}

async function onPath(
  name: string,
  environment: ExecutableOptions['environment'],
): Promise<string | undefined> {
  for (const folder of (environment['PATH'] ?? '').split(delimiter)) {
    if (folder !== '' && (await isProgram(join(folder, name)))) return join(folder, name)
  }
  return undefined
}

/** The folder in which this version is kept for every data folder of this person; undefined without a home. */
function cacheFolder({
  XDG_CACHE_HOME,
  HOME,
}: ExecutableOptions['environment']): string | undefined {
  const root = XDG_CACHE_HOME || (HOME ? join(HOME, '.cache') : undefined)
  return root === undefined ? undefined : join(root, 'fractalops', 'temporal-cli', temporalVersion)
}

/**
 * Finds the Temporal dev server: on PATH, in the cache, or built into the cache when that is allowed.
 * @throws EvidenceError EXECUTION_UNAVAILABLE saying what is missing.
 */
export async function temporalExecutable(options: ExecutableOptions): Promise<string> {
  const { environment, install } = options
  const found = await onPath('temporal', environment)
  if (found !== undefined) return found
  const folder = cacheFolder(environment)
  if (folder !== undefined && (await isProgram(join(folder, 'temporal'))))
    return join(folder, 'temporal')

  const missing = 'the Temporal dev server is not installed'
  if (!install) {
    throw new EvidenceError(
      'EXECUTION_UNAVAILABLE',
      `${missing}: start with --install-temporal (needs Go), put "temporal" on PATH, or name a running one with FRACTALOPS_TEMPORAL`,
    )
  }
  const go = await onPath('go', environment)
  if (go === undefined || folder === undefined) {
    throw new EvidenceError(
      'EXECUTION_UNAVAILABLE',
      `${missing} and cannot be built: ${go === undefined ? 'Go is not on PATH' : 'there is no cache folder (HOME is not set)'}`,
    )
  }
  return build(go, folder, options)
}

async function build(go: string, folder: string, options: ExecutableOptions): Promise<string> {
  const { say } = options
  await mkdir(folder, { recursive: true })
  const building = await mkdtemp(join(folder, 'building.'))
  try {
    const began = Date.now()
    const seconds = () => Math.round((Date.now() - began) / 1000)
    say(
      `building the Temporal dev server ${temporalVersion} with Go; this takes about 3 minutes, once`,
    )
    await goInstall(go, building, options, (packages) =>
      say(`building the Temporal dev server: ${packages} packages, ${seconds()} s`),
    )
    // A rename within one folder: whoever looks meanwhile finds the whole program or none.
    await rename(join(building, 'temporal'), join(folder, 'temporal'))
    say(`the Temporal dev server was built in ${seconds()} s`)
    return join(folder, 'temporal')
  } finally {
    await rm(building, { recursive: true, force: true })
  }
}

async function goInstall(
  go: string,
  target: string,
  { environment, signal }: ExecutableOptions,
  progress: (packages: number) => void,
): Promise<void> {
  const child = spawn(go, ['install', '-trimpath', '-v', module], {
    env: { ...environment, GOBIN: target },
    stdio: ['ignore', 'ignore', 'pipe'],
    // A group of its own, so that the compilers it starts end with it.
    detached: true,
  })
  const ended = once(child, 'close')
  const endGroup = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  }
  const timeout = AbortSignal.timeout(installTimeoutMs)
  for (const stop of [signal, timeout]) stop.addEventListener('abort', endGroup, { once: true })
  let packages = 0
  const last: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    packages += 1
    last.push(line.slice(0, 200))
    if (last.length > lastLinesMax) last.shift()
  })
  const ticking = setInterval(() => progress(packages), progressIntervalMs)
  try {
    const [code] = (await ended) as [number | null]
    if (code === 0) return
    const why = timeout.aborted
      ? `took more than ${installTimeoutMs / 60_000} minutes`
      : `failed: ${last.join(' | ')}`
    throw new EvidenceError('EXECUTION_UNAVAILABLE', `building the Temporal dev server ${why}`)
  } finally {
    clearInterval(ticking)
    for (const stop of [signal, timeout]) stop.removeEventListener('abort', endGroup)
  }
}
