import type { LineageView } from '../contracts/lineage.js'
import {
  type Command,
  connectionFlags,
  only,
  readArgs,
  type Terminal,
  UsageError,
} from './command.js'
import { connect } from './connection.js'
import { printJson, table } from './print.js'

const flags = {
  ...connectionFlags,
  up: { type: 'boolean' },
  down: { type: 'boolean' },
  depth: { type: 'string' },
  format: { type: 'string' },
} as const

const types: Readonly<Record<string, string>> = {
  'json-ld': 'application/ld+json',
  'n-quads': 'application/n-quads',
  turtle: 'text/turtle',
  trig: 'application/trig',
}

/** A name without what all names of this ledger and project begin with. */
const shortName = (iri: string): string =>
  iri.replace(/^urn:fractalops:[^:]*:[^:]*:/, '').replaceAll('%2F', '/')

export const lineage: Command = {
  name: 'lineage',
  usage: 'ID [--up] [--down] [--depth N] [--format table|json-ld|n-quads|turtle|trig]',
  summary: 'What led to an event, proposal or asset, and what came of it; each step with its event',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    const { up = false, down = false, depth, format = 'table' } = values
    if (depth !== undefined && !/^[1-9][0-9]?$/.test(depth))
      throw new UsageError(`--depth takes a number of steps, not ${JSON.stringify(depth)}`)
    const type = types[format]
    if (type === undefined && format !== 'table')
      throw new UsageError(`--format is table, ${Object.keys(types).join(', ')}`)
    const direction = up === down ? (up ? 'both' : 'up') : up ? 'up' : 'down'
    const query = new URLSearchParams({ direction, ...(depth === undefined ? {} : { depth }) })
    const path = `/v1/lineage/${encodeURIComponent(only(positionals))}?${query.toString()}`
    const client = connect(values, context)
    if (type !== undefined) {
      context.terminal.out(await client.text(path, type))
      return 0
    }
    const answer = await client.get<LineageView>(path)
    if (values.json) printJson(context.terminal, answer)
    else printLineage(context.terminal, answer)
    return 0
  },
}

function printLineage(
  terminal: Terminal,
  { edges, left_out: leftOut, position }: LineageView,
): void {
  const rows = edges.map((edge) => [
    shortName(edge.from),
    edge.relation,
    shortName(edge.to),
    edge.position,
    edge.event_id,
  ])
  terminal.out(table(terminal, ['THING', 'RELATION', 'FROM', 'POSITION', 'EVENT'], rows))
  for (const reason of leftOut) terminal.err(`left out: ${reason}\n`)
  terminal.err(
    `${edges.length} links, true of every event below position ${position}; "fractalops prove EVENT" proves one\n`,
  )
}
