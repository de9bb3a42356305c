import { setTimeout as pause } from 'node:timers/promises'
import type { FactCheckStarted, FactCheckView } from '../contracts/fact-check.js'
import { EvidenceError } from '../contracts/errors.js'
import { type Command, connectionFlags, only, readArgs, UsageError } from './command.js'
import { type Client, connect } from './connection.js'
import { printJson, progressBar, table } from './print.js'

const flags = {
  ...connectionFlags,
  table: { type: 'string', multiple: true },
  repair: { type: 'boolean' },
} as const
const lookIntervalMs = 250
/** Without any progress for this long the check counts as stuck. */
const stuckMs = 120_000

type TableView = FactCheckView['tables'][number]

export const check: Command = {
  name: 'check',
  usage: 'facts [--table NAME]… [--repair]',
  summary:
    'Compare the fact tables with the ledger, row by row; --repair writes anew what differs: 0 all sound, 1 some differ',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    if (only(positionals) !== 'facts') throw new UsageError('what is checked is "facts"')
    const client = connect(values, context)
    const asked = await client.post<FactCheckStarted>('/v1/projections/checks', {
      repair: values.repair === true,
      ...(values.table === undefined ? {} : { tables: values.table }),
    })
    const bar = progressBar(context.terminal, 'comparing')
    const isLast = (one: TableView) =>
      values.repair !== true || one.state === 'sound' || one.follows_repair
    const results = await waitFor(client, { ...asked, isLast }, context.now, (done, all) =>
      bar.update(done, all),
    ).finally(() => bar.end())
    const sound = results.every(({ state }) => state === 'sound')
    if (values.json) printJson(context.terminal, { sound, tables: results })
    else {
      const { terminal } = context
      terminal.out(
        table(
          terminal,
          ['table', 'state', 'rows', 'below position', 'first difference'],
          results.map((one) => [
            one.table,
            one.follows_repair ? `${one.state} after repair` : one.state,
            one.rows,
            one.position,
            firstOf(one),
          ]),
        ),
      )
      if (!sound && values.repair !== true)
        terminal.out('"fractalops check facts --repair" mends them\n')
    }
    return sound ? 0 : 1
  },
}

function firstOf({ state, found, differences }: TableView): string {
  const [first] = found
  if (first === undefined) return state === 'table-missing' ? 'there is no such table' : ''
  const column = first.column === undefined ? '' : ` (${first.column})`
  const more = Number(differences) > 1 ? `, and ${Number(differences) - 1} more` : ''
  return `${first.kind} row at ${first.position}, event ${first.event_id}${column}${more}`
}

/** The results of one check, when every table has one that will not be followed by another. */
async function waitFor(
  client: Client,
  {
    check_id: id,
    tables,
    isLast,
  }: FactCheckStarted & { readonly isLast: (one: TableView) => boolean },
  now: () => number,
  onProgress: (done: number, all: number) => void,
): Promise<readonly TableView[]> {
  let movedAt = now()
  let seen = ''
  for (;;) {
    const view = await client.get<FactCheckView>('/v1/projections/checks')
    const own = view.tables.filter((one) => one.check_id === id)
    if (own.length >= tables.length && own.every(isLast)) return own
    if (view.running !== null) onProgress(Number(view.running.position), Number(view.running.size))
    const present = JSON.stringify([view.running, own.length])
    if (present !== seen) movedAt = now()
    seen = present
    if (now() - movedAt > stuckMs)
      throw new EvidenceError('EXECUTION_UNAVAILABLE', `the check ${id} makes no progress`)
    await pause(lookIntervalMs)
  }
}
