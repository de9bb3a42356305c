import type * as z from 'zod'
import { type EventPage, pageLimitMax } from '../contracts/http.js'
import { defaultProject } from '../runtime/bootstrap.js'
import { eventView } from '../runtime/event-view.js'
import { type Command, connectionFlags, readArgs, UsageError } from './command.js'
import { reading } from './connection.js'
import { printJson, table } from './print.js'

const limitDefault = 50
const flags = {
  ...connectionFlags,
  stream: { type: 'string' },
  type: { type: 'string' },
  limit: { type: 'string' },
  newest: { type: 'boolean' },
  hidden: { type: 'boolean' },
} as const

export const events: Command = {
  name: 'events',
  usage: '[--stream STREAM [--hidden]] [--type TYPE[,TYPE]] [--newest] [--limit N]',
  summary:
    'Recorded events, in ledger order; --hidden also shows what the metadata of the stream hides',
  async run(args, context) {
    const { values } = readArgs(args, flags)
    const limit = Number(values.limit ?? limitDefault)
    if (!Number.isInteger(limit) || limit < 1 || limit > pageLimitMax)
      throw new UsageError(`--limit takes 1 to ${pageLimitMax}`)
    const { stream, type, newest = false, hidden = false } = values
    if (hidden && stream === undefined) throw new UsageError('--hidden belongs to --stream')
    const items = await reading(values, context, {
      online: async (client) => {
        const query = new URLSearchParams({
          limit: String(limit),
          order: newest ? 'newest' : 'oldest',
          ...(stream === undefined ? {} : { stream }),
          ...(type === undefined ? {} : { type }),
          ...(hidden ? { hidden: 'true' } : {}),
        })
        return (await client.get<z.infer<typeof EventPage>>(`/v1/events?${query.toString()}`)).items
      },
      offline: async ({ reader, proofs }) => {
        const found = []
        const filter = {
          ...(stream === undefined ? {} : { streamPrefixes: [stream] }),
          ...(type === undefined ? {} : { types: type.split(',') }),
        }
        const direction = newest ? ('backwards' as const) : ('forwards' as const)
        const read =
          stream === undefined || type !== undefined
            ? reader.readLog({ direction, filter })
            : reader.readStream({ project: defaultProject, stream, direction, hidden })
        for await (const event of read) {
          if (stream === undefined || event.leaf.stream === stream)
            found.push(eventView(event, proofs.origin))
          if (found.length >= limit) break
        }
        return found
      },
    })
    if (values.json) printJson(context.terminal, items)
    else {
      const rows = items.map((one) => [
        one.position,
        one.recordedtime,
        one.type,
        one.stream,
        one.actor,
        one.id,
      ])
      context.terminal.out(
        table(context.terminal, ['POSITION', 'TIME', 'TYPE', 'STREAM', 'BY', 'ID'], rows),
      )
    }
    return 0
  },
}
