import { join } from 'node:path'
import type { KeyHistoryView } from '../contracts/http.js'
import { defaultProject } from '../runtime/bootstrap.js'
import { keyHistoryOf } from '../runtime/key-history.js'
import { proofOf } from '../runtime/proof-view.js'
import { type Command, connectionFlags, type Context, readArgs, UsageError } from './command.js'
import { dataFolderOf, reading } from './connection.js'
import { deliver } from './prove.js'
import { printJson, table } from './print.js'

const flags = { ...connectionFlags, output: { type: 'string', short: 'o' } } as const

interface Listed {
  readonly keys: KeyHistoryView['keys']
  /** The proof files of the changes, by the id of the key that took over. */
  readonly proofs: readonly (readonly [string, string])[]
}

export const key: Command = {
  name: 'key',
  usage: 'list [-o DIR] | rotate',
  summary:
    'The keys that signed the ledger; -o writes the proofs of their changes. rotate gives a stopped ledger a new key',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    const { terminal } = context
    if (positionals[0] === 'rotate') {
      if (values.url !== undefined || values.output !== undefined)
        throw new UsageError('key rotate takes --data and --json: the service must be stopped')
      const { keys } = await context.offline.rotateKey(dataFolderOf(values, context))
      if (values.json) printJson(terminal, { keys })
      else {
        const last = keys.at(-1)
        terminal.out(
          `${last?.vkey ?? ''} signs from size ${last?.signing_from ?? ''} on\nTell the operators of your witnesses and whoever pinned the key before: docs/operating.md, "Changing the key"\n`,
        )
      }
      return 0
    }
    if (positionals[0] !== 'list') throw new UsageError('key takes list or rotate')
    const { keys, proofs } = await listed(values, context)
    const files: string[] = []
    for (const [id, proof] of proofs) {
      const file = join(values.output ?? '.', `key-${id}.proof.json`)
      await deliver(context, file, proof)
      files.push(file)
    }
    if (values.json) printJson(terminal, { keys, files })
    else {
      const rows = keys.map((one) => [one.signing_from, one.event_id, one.vkey])
      terminal.out(table(terminal, ['FROM SIZE', 'EVENT', 'KEY'], rows))
      for (const file of files) terminal.out(`wrote ${file}\n`)
    }
    return 0
  },
}

const idOf = (vkey: string): string => vkey.split('+')[1] ?? ''

/** The history, and with -o the proof of every change in it. */
const listed = (
  values: Parameters<typeof reading>[0] & { readonly output?: string | undefined },
  context: Context,
): Promise<Listed> => {
  const proving = async (
    keys: KeyHistoryView['keys'],
    prove: (eventId: string) => Promise<string>,
  ): Promise<Listed> => {
    const proofs: [string, string][] = []
    for (const { vkey, event_id: event } of values.output === undefined ? [] : keys.slice(1))
      if (event !== null) proofs.push([idOf(vkey), await prove(event)])
    return { keys, proofs }
  }
  return reading(values, context, {
    online: async (client) => {
      const { keys } = await client.get<KeyHistoryView>('/v1/checkpoint/keys')
      return proving(keys, (event) => client.text(`/v1/events/${event}/proof`))
    },
    offline: async ({ reader, proofs }) => {
      const { keys } = await keyHistoryOf(reader, proofs.keys)
      return proving(keys, async (id) => {
        const event = await reader.find(id)
        if (event?.leaf.project !== defaultProject) throw new UsageError(`there is no event ${id}`)
        return proofOf(event, proofs, proofs.keys)
      })
    },
  })
}
