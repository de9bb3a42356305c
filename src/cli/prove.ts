import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { EvidenceError } from '../contracts/errors.js'
import { proofOf } from '../runtime/proof-view.js'
import { defaultProject } from '../runtime/bootstrap.js'
import { streamProofOf, windowProofOf } from '../runtime/completeness-view.js'
import {
  type Command,
  connectionFlags,
  type Context,
  only,
  readArgs,
  UsageError,
} from './command.js'
import { reading } from './connection.js'
import type { OfflineLedger } from './offline.js'
import { printJson } from './print.js'

const flags = {
  ...connectionFlags,
  output: { type: 'string', short: 'o' },
  witnessed: { type: 'boolean' },
  stream: { type: 'string' },
  type: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
} as const

interface Wanted {
  /** What it is, for the words of the command and the name of the file. */
  readonly subject: Readonly<Record<string, string>>
  readonly fileName: string
  readonly path: string
  readonly offline: (ledger: OfflineLedger) => Promise<string>
}

export const prove: Command = {
  name: 'prove',
  usage:
    'EVENT [--witnessed] | --stream STREAM [--from REVISION] [--to REVISION] | --type TYPE --from TIME --to TIME [-o FILE]',
  summary:
    'Write the proof file of an event, or that nothing is left out of a stream or of a window of one type; -o - prints it',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 0, max: 1 })
    const wanted = wantedOf(values, positionals)
    const proof = await reading(values, context, {
      online: (client) => client.text(wanted.path),
      offline: wanted.offline,
    })
    const output = values.output ?? wanted.fileName
    await deliver(context, output, proof)
    if (output === '-') return 0
    if (values.json) printJson(context.terminal, { ...wanted.subject, file: output })
    else
      context.terminal.out(
        `wrote ${output}\nverify it with: fractalops verify ${output} --key VKEY\n`,
      )
    return 0
  },
}

function wantedOf(
  values: {
    readonly stream?: string | undefined
    readonly type?: string | undefined
    readonly from?: string | undefined
    readonly to?: string | undefined
    readonly witnessed?: boolean | undefined
  },
  positionals: readonly string[],
): Wanted {
  const named = [positionals[0], values.stream, values.type].filter((one) => one !== undefined)
  if (named.length !== 1)
    throw new UsageError('name one of: an event, --stream STREAM, --type TYPE')
  const { witnessed = false } = values
  if (witnessed && positionals.length === 0)
    throw new UsageError('--witnessed belongs to the proof of an event')
  if (values.stream !== undefined)
    return wantedStream(values.stream, revisionOf(values.from), revisionOf(values.to))
  const { type, from, to } = values
  if (type === undefined) {
    if (from !== undefined || to !== undefined)
      throw new UsageError('--from and --to belong to --stream or --type')
    return wantedEvent(only(positionals), witnessed)
  }
  if (from === undefined || to === undefined)
    throw new UsageError('--type needs --from TIME and --to TIME')
  return wantedWindow(type, instantOf(from), instantOf(to))
}

const wantedEvent = (id: string, witnessed: boolean): Wanted => ({
  subject: { event: id },
  fileName: `${id}.proof.json`,
  path: `/v1/events/${encodeURIComponent(id)}/proof${witnessed ? '?witnessed=true' : ''}`,
  offline: async ({ reader, proofs }) => {
    if (witnessed)
      throw new EvidenceError(
        'CHECKPOINT_NOT_WITNESSED',
        'proofs of a stopped ledger stand under its own checkpoints',
      )
    const event = await reader.find(id)
    if (event === undefined) throw new EvidenceError('EVENT_NOT_FOUND', `there is no event ${id}`)
    return proofOf(event, proofs, proofs.keys)
  },
})

function wantedStream(stream: string, from: number | undefined, to: number | undefined): Wanted {
  const query = new URLSearchParams({
    ...(from === undefined ? {} : { from: String(from) }),
    ...(to === undefined ? {} : { to: String(to) }),
  })
  return {
    subject: { stream },
    fileName: `${stream.replaceAll(/[^A-Za-z0-9._~-]/g, '_')}.stream-proof.json`,
    path: `/v1/streams/${encodeURIComponent(stream)}/proof?${query.toString()}`,
    offline: (ledger) => streamProofOf(ledger, { project: defaultProject, stream, from, to }),
  }
}

const wantedWindow = (type: string, from: string, to: string): Wanted => ({
  subject: { type, from, to },
  fileName: `${type.replaceAll(/[^A-Za-z0-9._~-]/g, '_')}.window-proof.json`,
  path: `/v1/events/proof?${new URLSearchParams({ type, from, to }).toString()}`,
  offline: (ledger) => windowProofOf(ledger, { project: defaultProject, type, from, to }),
})

function revisionOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^(0|[1-9][0-9]{0,14})$/.test(text))
    throw new UsageError(`${JSON.stringify(text)} is no revision: a whole number from 0`)
  return Number(text)
}

/** A time in the form of the ledger. */
function instantOf(text: string): string {
  const time = new Date(text)
  if (
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)$/.test(text) ||
    Number.isNaN(time.getTime())
  )
    throw new UsageError(`${JSON.stringify(text)} is no RFC 3339 time such as 2026-01-31T00:00:00Z`)
  return time.toISOString()
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
