import type * as z from 'zod'
import type { QueryResponse } from '../contracts/http.js'
import { type Command, connectionFlags, only, readArgs, UsageError } from './command.js'
import { connect } from './connection.js'
import { printJson, table } from './print.js'

const flags = { ...connectionFlags, param: { type: 'string', multiple: true } } as const

export const query: Command = {
  name: 'query',
  usage: 'SQL [--param NAME=VALUE]…',
  summary: 'Read-only SQL on the fact tables; {name:Type} stands for a parameter',
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
    })
    if (values.json) {
      printJson(context.terminal, answer)
      return 0
    }
    const headings = Object.keys(answer.rows[0] ?? {})
    const text = (cell: unknown) => (typeof cell === 'object' ? JSON.stringify(cell) : cell)
    context.terminal.out(
      table(
        context.terminal,
        headings,
        answer.rows.map((row) => headings.map((name) => text(row[name]))),
      ),
    )
    context.terminal.err(
      `${answer.rows.length} rows, true of every event below position ${answer.position}\n`,
    )
    return 0
  },
}
