import { type Command, connectionFlags, readArgs, UsageError } from './command.js'
import { ownEventStore } from './connection.js'
import { importGit } from './import-git.js'
import { isConnectionString, moveBetween, moveFlags } from './move.js'

export const importEvents: Command = {
  name: 'import',
  usage:
    'git [PATH] [--name NAME] | esdb://NAME:PASSWORD@HOST:PORT [--name NAME] [--prefix TEXT] [--ledger esdb://…] [--state FILE]',
  summary:
    'Record the commits of a git repository as evidence, or take over the events of an event store; running it again takes only what is new',
  async run(args, context) {
    const { values, positionals } = readArgs(
      args,
      { ...connectionFlags, ...moveFlags },
      { min: 1, max: 2 },
    )
    const [what = '', path = '.'] = positionals
    if (what === 'git') {
      const { name, json = false } = values
      return importGit({ path, name, json }, values, context)
    }
    if (!isConnectionString(what) || positionals.length > 1)
      throw new UsageError(`import takes git or esdb://…, not ${JSON.stringify(what)}`)
    // Ids are unique on the ledger: what was taken over before is seen by them.
    return moveBetween(values, context, {
      what: 'import',
      source: what,
      target: values.ledger ?? ownEventStore(values, context),
      other: what,
      repeatedBy: 'ids',
    })
  },
}
