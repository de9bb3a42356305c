import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../contracts/errors.js'
import type { HudView } from '../contracts/http.js'
import { loadConfig } from '../runtime/config.js'
import { type Command, connectionFlags, type Context, readArgs } from './command.js'
import { type Client, connect, createClient, dataFolderOf } from './connection.js'
import { tellDemo } from './demo-story.js'

const examples = join(import.meta.dirname, '..', '..', 'examples', 'proposals')
/** Temporal may have to be built first, which takes minutes. */
const executionTimeoutMs = 15 * 60_000
const lookIntervalMs = 200

export const demo: Command = {
  name: 'demo',
  usage: '[--data DIR | --url URL --token TOKEN]',
  summary: 'Drive the example proposals to their end, on a running service or on one of its own',
  async run(args, context) {
    const { values } = readArgs(args, connectionFlags)
    try {
      await onProduct(connect(values, context), dataFolderOf(values, context), context)
    } catch (error) {
      const isNone = error instanceof EvidenceError && error.code === 'SERVICE_NOT_RUNNING'
      if (!isNone || values.url !== undefined) throw error
      await onOwnProduct(context)
    }
    return 0
  },
}

/** A service for this demo alone, in a folder that goes with it. */
async function onOwnProduct(context: Context): Promise<void> {
  const { terminal } = context
  const data = await mkdtemp(join(tmpdir(), 'fractalops-demo-'))
  const anyPort = '127.0.0.1:0'
  const flags = {
    data,
    http: anyPort,
    warehouse: anyPort,
    temporal: anyPort,
    'install-temporal': true,
  }
  const config = loadConfig({ flags, env: {}, cwd: data })
  terminal.out('No service runs here: the demo starts one of its own, and ends it.\n')
  try {
    const running = await context.runUp(config, {
      out: (line) => terminal.out(`${line}\n`),
      err: (line) => terminal.err(`${line}\n`),
      install: true,
    })
    const story = onProduct(connect({ data }, { ...context, env: {} }), data, context)
    const stopped = context.interrupted().then(() => {
      throw new EvidenceError('SERVICE_NOT_RUNNING', 'the demo was interrupted')
    })
    await Promise.race([story, stopped]).finally(() => running.close())
  } finally {
    await rm(data, { recursive: true, force: true })
  }
}

async function onProduct(
  administrator: Client,
  data: string,
  { terminal }: Context,
): Promise<void> {
  await untilExecuting(administrator, (line) => terminal.out(`${line}\n`))
  await tellDemo({
    as: (token) => createClient(administrator.url, token),
    administrator,
    examples,
    proofs: join(data, 'proofs'),
    say: (line) => terminal.out(`${line}\n`),
  })
}

/** Waits for Temporal: on a fresh machine it is still being installed. */
async function untilExecuting(client: Client, say: (line: string) => void): Promise<void> {
  const end = Date.now() + executionTimeoutMs
  let told = ''
  for (;;) {
    const { parts } = await client.get<Pick<HudView, 'parts'>>('/v1/hud')
    const execution = parts.find(({ name }) => name === 'execution')
    if (execution?.status === 'ok') return
    const detail = execution?.detail ?? 'this service executes nothing'
    if (execution === undefined || Date.now() > end)
      throw new EvidenceError('EXECUTION_UNAVAILABLE', detail)
    if (detail !== told) say(`Waiting for execution: ${detail}`)
    told = detail
    await pause(lookIntervalMs)
  }
}
