import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../contracts/errors.js'
import { type Command, connectionFlags, readArgs } from './command.js'
import { connect } from './connection.js'
import { printJson, progressBar } from './print.js'

const lookIntervalMs = 200
/** Without any progress for this long the rebuild counts as stuck. */
const stuckMs = 120_000

interface Progress {
  readonly head: string
  readonly tables: readonly { readonly table: string; readonly position: string }[]
}

export const rebuild: Command = {
  name: 'rebuild',
  usage: '',
  summary: 'Fold every fact table anew from the first event',
  async run(args, context) {
    const { values } = readArgs(args, connectionFlags)
    const client = connect(values, context)
    const { head } = await client.post<Progress>('/v1/projections/rebuild')
    const bar = progressBar(context.terminal, 'folding')
    let done = -1
    let movedAt = context.now()
    try {
      while (done < Number(head)) {
        const { tables } = await client.get<Progress>('/v1/projections')
        const lowest = Math.min(...tables.map(({ position }) => Number(position)))
        if (lowest !== done) movedAt = context.now()
        done = lowest
        bar.update(done, Number(head))
        if (context.now() - movedAt > stuckMs)
          throw new EvidenceError(
            'WAREHOUSE_UNAVAILABLE',
            `folding stopped at position ${done} of ${head}`,
          )
        if (done < Number(head)) await pause(lookIntervalMs)
      }
    } finally {
      bar.end()
    }
    if (values.json) printJson(context.terminal, { position: String(done) })
    else context.terminal.out(`every fact table was folded anew, to position ${done}\n`)
    return 0
  },
}
