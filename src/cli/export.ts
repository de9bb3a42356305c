import { type Command, connectionFlags, only, readArgs, UsageError } from './command.js'
import { ownEventStore } from './connection.js'
import { isConnectionString, moveBetween, moveFlags } from './move.js'

export const exportEvents: Command = {
  name: 'export',
  usage:
    'esdb://NAME:PASSWORD@HOST:PORT [--name NAME] [--prefix TEXT] [--ledger esdb://…] [--state FILE]',
  summary:
    'Give the events of the ledger to an event store, where their streams begin with it; running it again gives only what is new',
  async run(args, context) {
    const { values, positionals } = readArgs(
      args,
      { ...connectionFlags, ...moveFlags },
      { min: 1, max: 1 },
    )
    const target = only(positionals)
    if (!isConnectionString(target))
      throw new UsageError(`export takes esdb://…, not ${JSON.stringify(target)}`)
    return moveBetween(values, context, {
      what: 'export',
      source: values.ledger ?? ownEventStore(values, context),
      target,
      other: target,
      repeatedBy: 'revisions',
    })
  },
}
