import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { cleanEnv, repository } from './product.js'

/** What a program with the client of another language saw in one scenario, or why it could not go on. */
export interface Scenario {
  readonly scenario: string
  readonly seen?: unknown
  readonly failed?: string
}

export type ForeignLanguage = 'python' | 'go' | 'java'

const installed = (language: ForeignLanguage): string => {
  const { FRACTALOPS_TEST_CACHE, XDG_CACHE_HOME, HOME } = process.env
  const cache =
    FRACTALOPS_TEST_CACHE ?? join(XDG_CACHE_HOME ?? join(HOME ?? '', '.cache'), 'fractalops')
  return join(cache, 'clients', language)
}

const sources = join(repository, 'test', 'integration', 'clients')

const commands: Readonly<Record<ForeignLanguage, readonly [string, ...string[]]>> = {
  python: [join(installed('python'), 'bin', 'python'), join(sources, 'python', 'client.py')],
  go: [join(installed('go'), 'client')],
  java: ['java', '-cp', join(installed('java'), '*'), 'Client'],
}

/** What must be there for the program to run. */
const needed: Readonly<Record<ForeignLanguage, string>> = {
  python: commands.python[0],
  go: commands.go[0],
  java: join(installed('java'), 'client.jar'),
}

/** Why a test that needs the client of a language is skipped, or false. In CI it is never skipped. */
export const requireClient = (language: ForeignLanguage): string | false =>
  process.env['CI'] === 'true' || existsSync(needed[language])
    ? false
    : `the ${language} client is missing: run test/servers/clients.sh`

/** Runs the program of a language to its end; one that takes longer than `timeoutMs` is ended. */
export async function runClient(
  language: ForeignLanguage,
  args: readonly string[],
  timeoutMs = 120_000,
): Promise<readonly Scenario[]> {
  const [program, ...own] = commands[language]
  const child: ChildProcess = spawn(program, [...own, ...args], {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  const err: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk))
  const ended = once(child, 'close') as Promise<[number | null]>
  const scenarios: Scenario[] = []
  if (child.stdout !== null)
    for await (const line of createInterface(child.stdout))
      scenarios.push(JSON.parse(line) as Scenario)
  const [code] = await ended
  if (code !== 0)
    throw new Error(`the ${language} client ended with ${code}: ${Buffer.concat(err).toString()}`)
  return scenarios
}
