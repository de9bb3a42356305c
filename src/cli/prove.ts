import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { EvidenceError } from '../contracts/errors.js'
import { proofOf } from '../runtime/proof-view.js'
import { type Command, connectionFlags, type Context, only, readArgs } from './command.js'
import { reading } from './connection.js'
import { printJson } from './print.js'

const flags = {
  ...connectionFlags,
  output: { type: 'string', short: 'o' },
  witnessed: { type: 'boolean' },
} as const

export const prove: Command = {
  name: 'prove',
  usage: 'EVENT [-o FILE] [--witnessed]',
  summary: 'Write the proof file of an event; -o - prints it',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    const id = only(positionals)
    const proof = await reading(values, context, {
      online: (client) =>
        client.text(
          `/v1/events/${encodeURIComponent(id)}/proof${values.witnessed ? '?witnessed=true' : ''}`,
        ),
      offline: async ({ reader, proofs, vkeys }) => {
        if (values.witnessed)
          throw new EvidenceError(
            'CHECKPOINT_NOT_WITNESSED',
            'proofs of a stopped ledger stand under its own checkpoints',
          )
        const event = await reader.find(id)
        if (event === undefined)
          throw new EvidenceError('EVENT_NOT_FOUND', `there is no event ${id}`)
        return proofOf(event, proofs, vkeys)
      },
    })
    const output = values.output ?? `${id}.proof.json`
    await deliver(context, output, proof)
    if (output === '-') return 0
    if (values.json) printJson(context.terminal, { event: id, file: output })
    else
      context.terminal.out(
        `wrote ${output}\nverify it with: fractalops verify ${output} --key VKEY\n`,
      )
    return 0
  },
}

/** Writes what a command made to a file, or prints it for "-". @throws EvidenceError REQUEST_INVALID. */
export async function deliver(
  { terminal, cwd }: Context,
  output: string,
  text: string,
): Promise<void> {
  if (output === '-') {
    terminal.out(text)
    return
  }
  await writeFile(resolve(cwd, output), text).catch((cause: unknown) => {
    throw new EvidenceError('REQUEST_INVALID', `${output} cannot be written`, { cause })
  })
}
