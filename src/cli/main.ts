#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { EvidenceError } from '../contracts/errors.js'
import { offline, openMovable, runUp } from '../runtime/main.js'
import { assets } from './assets.js'
import { checkpoint } from './checkpoint.js'
import { audit } from './audit.js'
import { check } from './check.js'
import { type Command, type Context, UsageError } from './command.js'
import { approve, cancel, reject, withdraw } from './decide.js'
import { demo } from './demo.js'
import { doctor } from './doctor.js'
import { events } from './events.js'
import { fsck } from './fsck.js'
import { exportEvents } from './export.js'
import { importEvents } from './import.js'
import { key } from './key.js'
import { lineage } from './lineage.js'
import { propose } from './propose.js'
import { prove } from './prove.js'
import { query } from './query.js'
import { rebuild } from './rebuild.js'
import { show } from './show.js'
import { token } from './token.js'
import { up } from './up.js'
import { verify } from './verify.js'
import { worker } from './worker.js'

const commands: readonly Command[] = [
  up,
  doctor,
  token,
  propose,
  approve,
  reject,
  withdraw,
  cancel,
  show,
  events,
  prove,
  verify,
  checkpoint,
  key,
  worker,
  query,
  audit,
  assets,
  lineage,
  rebuild,
  check,
  fsck,
  importEvents,
  exportEvents,
  demo,
]

const help = (): string => `fractalops: evidence and proof ledger

${commands.map(({ name, summary }) => `  ${name.padEnd(11)} ${summary}`).join('\n')}

Every command that talks to a service takes --data DIR (default ./data or FRACTALOPS_DATA), or --url URL
with --token TOKEN or FRACTALOPS_TOKEN; --json prints for machines. "fractalops COMMAND --help" shows its use.

Which command checks what:
  verify   one proof file, offline: digests, leaf, path, root, signature; or that a list leaves out nothing
  fsck     every byte of a stopped ledger: records, digests, chains, checkpoints, seals, index, hash tiles
  check    facts: every row of the fact tables against what the ledger folds to
  doctor   this machine, its configuration and permissions
`

const inputBytesMax = 16 * 1024 * 1024

const context: Context = {
  terminal: {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTerminal: process.stdout.isTTY,
    width: process.stdout.columns,
    readInput: async () => readFileSync(0).subarray(0, inputBytesMax).toString('utf8'),
  },
  env: process.env,
  cwd: process.cwd(),
  now: () => Date.now(),
  offline,
  runUp,
  openMovable,
  interrupted: () =>
    new Promise((done) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
        process.once(signal, () => done())
    }),
}

async function run([name = 'help', ...args]: readonly string[]): Promise<number> {
  if (['help', '--help', '-h'].includes(name)) {
    context.terminal.out(help())
    return 0
  }
  const command = commands.find((one) => one.name === name)
  if (command === undefined)
    throw new UsageError(`there is no command ${JSON.stringify(name)}: see fractalops help`)
  if (args.includes('--help') || args.includes('-h')) {
    context.terminal.out(`fractalops ${command.name} ${command.usage}\n\n${command.summary}\n`)
    return 0
  }
  try {
    return await command.run(args, context)
  } catch (error) {
    if (error instanceof UsageError)
      error.message += `\nusage: fractalops ${command.name} ${command.usage}`
    throw error
  }
}

try {
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  if (error instanceof EvidenceError) {
    const fields = error.fields
      .map(({ pointer, detail }) => `\n  ${pointer || '/'}: ${detail}`)
      .join('')
    process.stderr.write(`fractalops: ${error.message}. ${error.remedy}${fields}\n`)
    process.exitCode = 1
  } else if (error instanceof UsageError) {
    process.stderr.write(`fractalops: ${error.message}\n`)
    process.exitCode = 2
  } else {
    process.stderr.write(
      `fractalops: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    )
    process.exitCode = 1
  }
}
// A part that did not end in time must not keep a finished command alive.
process.exit()
