import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadConfig } from '../runtime/config.js'
import { type Command, readArgs } from './command.js'
import { connect } from './connection.js'

const flags = {
  data: { type: 'string' },
  http: { type: 'string' },
  warehouse: { type: 'string' },
  temporal: { type: 'string' },
  grpc: { type: 'string' },
  components: { type: 'string' },
  policies: { type: 'string' },
  'install-temporal': { type: 'boolean' },
  interoperability: { type: 'boolean' },
  witness: { type: 'string' },
  'witness-state': { type: 'string' },
  known: { type: 'string' },
  'accept-rollback': { type: 'boolean' },
} as const

export const up: Command = {
  name: 'up',
  usage:
    '[--data DIR] [--http HOST:PORT] [--warehouse HOST:PORT] [--temporal HOST:PORT] [--grpc HOST:PORT] [--components A,B] [--policies DIR] [--install-temporal] [--interoperability] [--witness HOST:PORT] [--witness-state DIR] [--known CHECKPOINT] [--accept-rollback]',
  summary: 'Start the service and stay until Ctrl-C',
  async run(args, context) {
    const { values } = readArgs(args, flags)
    const config = loadConfig({ flags: values, env: context.env, cwd: context.cwd })
    const { terminal } = context
    const running = await context.runUp(config, {
      out: (line) => terminal.out(`${line}\n`),
      err: (line) => terminal.err(`${line}\n`),
      install: config.installTemporal,
    })
    const interrupted = context.interrupted()
    try {
      // Told with the address of this start; a named service elsewhere is not meant.
      if (['api', 'ledger'].every((name) => config.components.some((one) => one === name)))
        terminal.out(await welcome(config.data, context))
      else
        terminal.out(
          `FractalOps Ledger is up: ${config.components.join(', ')}\n${places(config.data)}`,
        )
      await Promise.race([running.closed, interrupted])
      terminal.err('stopping\n')
    } finally {
      await running.close()
    }
    await running.closed
    return 0
  },
}

/** Where this process listens. */
function places(data: string): string {
  // A witness alone has another folder.
  const path = join(data, 'addresses.json')
  if (!existsSync(path)) return ''
  // Written by this process a moment ago.
  const addresses = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string | null>
  return Object.entries(addresses)
    .flatMap(([part, address]) => (address === null ? [] : [`  ${part.padEnd(10)} ${address}\n`]))
    .join('')
}

async function welcome(data: string, context: Parameters<Command['run']>[1]): Promise<string> {
  const flags = { data }
  const client = connect(flags, { ...context, env: {} })
  const { sign_in_url: link } = await client.post<{ sign_in_url: string }>('/v1/session/links')
  return `
FractalOps Ledger is up.
${places(data)}
Sign in to the portal, once, within 15 minutes:
  ${link}

Next:
  fractalops token create --name ada --access proposer --data ${data}
  fractalops token create --name grace --access approver --data ${data}
  fractalops propose examples/proposals/register-web.json --token ADA --data ${data}
  fractalops help
Another sign-in link: fractalops token link --data ${data}
Ctrl-C stops everything.
`
}
