import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type * as z from 'zod'
import type { QueryResponse } from '../contracts/http.js'
import { type Command, connectionFlags, only, readArgs, UsageError } from './command.js'
import { connect } from './connection.js'
import { printJson } from './print.js'
import { cellTable, writtenRows } from './query-rows.js'

const flags = {
  ...connectionFlags,
  param: { type: 'string', multiple: true },
  format: { type: 'string' },
  proof: { type: 'string' },
} as const

export const query: Command = {
  name: 'query',
  usage: 'SQL [--param NAME=VALUE]… [--format table|csv|json] [--proof FILE]',
  summary:
    'Read-only SQL on the fact tables; {name:Type} stands for a parameter; --proof writes a proof of the events behind the rows',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    const parameters = Object.fromEntries(
      (values.param ?? []).map((given) => {
        const at = given.indexOf('=')
        if (at < 1) throw new UsageError(`--param takes NAME=VALUE, not ${JSON.stringify(given)}`)
        return [given.slice(0, at), given.slice(at + 1)]
      }),
    )
    const answer = await connect(values, context).post<z.infer<typeof QueryResponse>>('/v1/query', {
      sql: only(positionals),
      parameters,
      proof: values.proof !== undefined,
    })
    if (values.proof !== undefined)
      writeFileSync(resolve(context.cwd, values.proof), answer.proof ?? '')
    if (values.json) {
      printJson(context.terminal, answer)
      return 0
    }
    const { format } = values
    context.terminal.out(
      format === undefined || format === 'table'
        ? cellTable(context.terminal, answer.rows)
        : writtenRows(format, answer.rows),
    )
    context.terminal.err(
      `${answer.rows.length} rows, true of every event below position ${answer.position}\n`,
    )
    return 0
  },
}
