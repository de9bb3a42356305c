import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseJsonStrictly } from '../contracts/canonical-json.js'
import { EvidenceError } from '../contracts/errors.js'
import type { ProposalView, SimulationView } from '../contracts/http.js'
import type * as z from 'zod'
import { type Command, connectionFlags, type Context, only, readArgs } from './command.js'
import { connect } from './connection.js'
import { printJson } from './print.js'

const fileBytesMax = 1024 * 1024
const flags = {
  ...connectionFlags,
  simulate: { type: 'boolean' },
  key: { type: 'string' },
} as const

export const propose: Command = {
  name: 'propose',
  usage: 'FILE|- [--simulate] [--key IDEMPOTENCY_KEY]',
  summary: 'Propose the change in a JSON file; - reads standard input',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    const body = await readBody(only(positionals), context)
    const client = connect(values, context)
    if (values.simulate) {
      const decision = await client.post<z.infer<typeof SimulationView>>(
        '/v1/proposals/simulate',
        body,
      )
      if (values.json) printJson(context.terminal, decision)
      else context.terminal.out(`policy says ${decision.outcome}${reasons(decision)}\n`)
      return 0
    }
    const view = await client.post<ProposalView>(
      '/v1/proposals',
      body,
      values.key === undefined ? {} : { 'idempotency-key': values.key },
    )
    if (values.json) printJson(context.terminal, view)
    else context.terminal.out(statusOf(view))
    return 0
  },
}

const reasons = ({ reasons: all }: z.infer<typeof SimulationView>): string =>
  all.map(({ message }) => `\n  ${message}`).join('')

/** A proposal in a few lines, after something was done with it. */
export const statusOf = (view: ProposalView): string =>
  [
    `proposal  ${view.id}`,
    `status    ${view.status}${view.waiting_for === null ? '' : `: ${view.waiting_for}`}`,
    ...(view.simulated === null
      ? []
      : [`policy    ${view.simulated.outcome}${reasons(view.simulated)}`]),
    `digest    ${view.digest}`,
    '',
  ].join('\n')

async function readBody(file: string, { terminal, cwd }: Context): Promise<unknown> {
  const text = file === '-' ? await terminal.readInput() : await readText(resolve(cwd, file))
  if (text.length > fileBytesMax)
    throw new EvidenceError('REQUEST_TOO_LARGE', `${file} is larger than ${fileBytesMax} bytes`)
  return parseJsonStrictly(text)
}

/** Reads a file that the user named. @throws EvidenceError REQUEST_INVALID when it cannot be read. */
export const readText = async (path: string): Promise<string> =>
  readFile(path, 'utf8').catch((cause: unknown) => {
    throw new EvidenceError('REQUEST_INVALID', `${path} cannot be read`, { cause })
  })
