import { parseSignedCheckpoint } from '../ledger/checkpoint.js'
import { type Command, connectionFlags, readArgs } from './command.js'
import { reading } from './connection.js'
import { deliver } from './prove.js'
import { printJson } from './print.js'

const flags = { ...connectionFlags, output: { type: 'string', short: 'o' } } as const

export const checkpoint: Command = {
  name: 'checkpoint',
  usage: '[-o FILE]',
  summary: 'Print the latest signed checkpoint: keep one where the ledger cannot reach it',
  async run(args, context) {
    const { values } = readArgs(args, flags)
    const note = await reading(values, context, {
      online: (client) => client.text('/checkpoint'),
      offline: async ({ proofs }) => proofs.checkpoint().note,
    })
    if (values.output !== undefined) await deliver(context, values.output, note)
    if (values.json) {
      const { origin, size, root } = parseSignedCheckpoint(note).checkpoint
      printJson(context.terminal, {
        origin,
        size: String(size),
        root: Buffer.from(root).toString('base64'),
        note,
      })
    } else if (values.output === undefined) context.terminal.out(note)
    else if (values.output !== '-') context.terminal.out(`wrote ${values.output}\n`)
    return 0
  },
}
