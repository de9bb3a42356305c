import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { AuditAnswer, AuditList } from '../contracts/audit.js'
import { type Command, connectionFlags, readArgs, UsageError } from './command.js'
import { connect } from './connection.js'
import { printJson, table } from './print.js'
import { cellTable, writtenRows } from './query-rows.js'

const flags = {
  ...connectionFlags,
  from: { type: 'string' },
  to: { type: 'string' },
  at: { type: 'string' },
  asset: { type: 'string' },
  minutes: { type: 'string' },
  format: { type: 'string' },
  proof: { type: 'string' },
  population: { type: 'string' },
} as const

export const audit: Command = {
  name: 'audit',
  usage:
    '[QUERY] [--from TIME --to TIME] [--at TIME] [--asset ID] [--minutes N] [--format table|csv|json] [--proof FILE] [--population FILE]',
  summary:
    'Answer a named audit query, or list them; --proof writes a proof of its rows, --population one that none is left out; 1 when it must answer no rows and does',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 0, max: 1 })
    const client = connect(values, context)
    const [name] = positionals
    const { terminal } = context
    if (name === undefined) {
      const list = await client.get<AuditList>('/v1/audit')
      if (values.json) printJson(terminal, list)
      else
        terminal.out(
          table(
            terminal,
            ['query', 'takes', 'answers'],
            list.queries.map(({ query, parameters, summary }) => [
              query,
              parameters.join(' '),
              summary,
            ]),
          ),
        )
      return 0
    }
    const asked = new URLSearchParams()
    for (const [parameter, value] of [
      ['from', values.from],
      ['to', values.to],
      ['at', values.at],
      ['asset_id', values.asset],
      ['minutes', values.minutes],
      ['proof', values.proof === undefined ? undefined : 'true'],
    ] as const)
      if (value !== undefined) asked.set(parameter, value)
    const answer = await client.get<AuditAnswer>(
      `/v1/audit/${encodeURIComponent(name)}?${asked.toString()}`,
    )
    if (values.proof !== undefined)
      writeFileSync(resolve(context.cwd, values.proof), answer.proof ?? '')
    if (values.population !== undefined) {
      if (answer.population === null)
        throw new UsageError(`the rows of ${name} are not the events of one type in a window`)
      const window = new URLSearchParams(answer.population).toString()
      const file = await client.text(`/v1/events/proof?${window}`)
      writeFileSync(resolve(context.cwd, values.population), file)
    }
    if (values.json) printJson(terminal, answer)
    else {
      const { format } = values
      terminal.out(
        format === undefined || format === 'table'
          ? cellTable(terminal, answer.rows)
          : writtenRows(format, answer.rows),
      )
      terminal.err(
        `${answer.summary}: ${answer.rows.length}, true of every event below position ${answer.position}\n`,
      )
    }
    return answer.as_expected === false ? 1 : 0
  },
}
