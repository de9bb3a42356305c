import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'
import {
  startTemporalServer,
  type TemporalServer,
  type TemporalServerOptions,
} from '../../src/runtime/adapters/temporal-server.js'
import { eventually } from './product.js'

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The real dev server that the tests use: named by FRACTALOPS_TEST_TEMPORAL, on PATH, or in the cache. */
export function temporalExecutable(): string | undefined {
  const { FRACTALOPS_TEST_TEMPORAL, FRACTALOPS_TEST_CACHE, PATH, XDG_CACHE_HOME, HOME } =
    process.env
  const cache =
    FRACTALOPS_TEST_CACHE ?? join(XDG_CACHE_HOME ?? join(HOME ?? '', '.cache'), 'fractalops')
  return [
    ...(FRACTALOPS_TEST_TEMPORAL === undefined ? [] : [FRACTALOPS_TEST_TEMPORAL]),
    ...(PATH ?? '')
      .split(delimiter)
      .filter(Boolean)
      .map((folder) => join(folder, 'temporal')),
    join(cache, 'temporal-cli', '1.5.1', 'temporal'),
  ].find(isProgram)
}

/** Why a test that needs Temporal is skipped, or false. In CI it is never skipped: there it must be found. */
export const requireTemporal = (): string | false =>
  temporalExecutable() !== undefined || process.env['CI'] === 'true'
    ? false
    : 'no Temporal dev server: run test/servers/temporal.sh, or name one with FRACTALOPS_TEST_TEMPORAL'

/** A supervised dev server on a free port, with its state in a folder of its own; ended after the test. */
export async function startTemporal(
  t: Test,
  options: Partial<TemporalServerOptions> = {},
): Promise<{ readonly server: TemporalServer; readonly address: string; readonly folder: string }> {
  const executable = temporalExecutable()
  if (executable === undefined)
    throw new Error('the Temporal dev server is missing: run test/servers/temporal.sh')
  const folder = options.folder ?? temporaryFolder(t)
  const server = await startTemporalServer({
    folder,
    host: '127.0.0.1',
    port: 0,
    environment: { ...process.env, PATH: join(executable, '..') },
    install: false,
    say: (line) => t.comment(line),
    ...options,
  })
  t.teardown(() => server.close())
  const address = await eventually('Temporal listening', () => server.address())
  return { server, address, folder }
}

function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fractalops-temporal-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
