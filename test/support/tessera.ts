import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Ran } from './product.js'

const version = '1.0.4'
const programs = ['fsck', 'hammer', 'open-checkpoint'] as const
export type TesseraProgram = (typeof programs)[number]

function pathOf(program: TesseraProgram): string {
  const { FRACTALOPS_TEST_CACHE, XDG_CACHE_HOME, HOME } = process.env
  const cache =
    FRACTALOPS_TEST_CACHE ?? join(XDG_CACHE_HOME ?? join(HOME ?? '', '.cache'), 'fractalops')
  return join(cache, 'tessera', version, program)
}

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Why a test that needs the programs of Tessera is skipped, or false. In CI it is never skipped. */
export const requireTessera = (): string | false =>
  process.env['CI'] === 'true' || programs.every((program) => isProgram(pathOf(program)))
    ? false
    : 'the programs of Tessera are missing: run test/servers/tessera.sh'

/** Runs a program of Tessera to its end; one that takes longer than `timeoutMs` is ended and has failed. */
export async function runTessera(
  program: TesseraProgram,
  args: readonly string[],
  { input = '', timeoutMs = 60_000 }: { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<Ran> {
  const child = spawn(pathOf(program), args, { timeout: timeoutMs, killSignal: 'SIGKILL' })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return {
    code: code ?? -1,
    stdout: Buffer.concat(out).toString(),
    stderr: Buffer.concat(err).toString(),
  }
}
