import { parseArgs, type ParseArgsConfig } from 'node:util'
import type { OpenMovableStore } from '../ledger/movable-store.js'
import type { Offline, RunUp } from './offline.js'

/** Where a command reads and writes; in tests, memory. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** Whether people look at it: then tables are fitted and long work shows a bar. */
  readonly isTerminal: boolean
  /** Columns of the terminal. */
  readonly width: number
  readInput(): Promise<string>
}

/** Everything that a command may use. */
export interface Context {
  readonly terminal: Terminal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly now: () => number
  readonly offline: Offline
  readonly runUp: RunUp
  /** Opens an event store that events are moved from or to. */
  readonly openMovable: OpenMovableStore
  /** Resolves when the user asks to stop. */
  readonly interrupted: () => Promise<void>
}

export interface Command {
  readonly name: string
  /** What follows the name, for example `FILE --key VKEY`. */
  readonly usage: string
  readonly summary: string
  /** Answers the exit code. */
  run(args: readonly string[], context: Context): Promise<number>
}

/** A wrong call: exit code 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

type Options = NonNullable<ParseArgsConfig['options']>

/** Flags of every command that talks to a service. */
export const connectionFlags = {
  data: { type: 'string' },
  url: { type: 'string' },
  token: { type: 'string' },
  json: { type: 'boolean' },
} as const satisfies Options

/** Reads flags and positionals. @throws UsageError for anything that the command does not know. */
export function readArgs<Known extends Options>(
  args: readonly string[],
  options: Known,
  positionals: { readonly min: number; readonly max: number } = { min: 0, max: 0 },
) {
  const parsed = parse(args, options)
  const count = parsed.positionals.length
  if (count < positionals.min) throw new UsageError('an argument is missing')
  if (count > positionals.max)
    throw new UsageError(
      `unexpected argument ${JSON.stringify(parsed.positionals[positionals.max])}`,
    )
  return parsed
}

function parse<Known extends Options>(args: readonly string[], options: Known) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(
      error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error),
    )
  }
}

/** The one positional of a command that takes exactly one. */
export const only = (positionals: readonly string[]): string => {
  const [first] = positionals
  if (first === undefined) throw new UsageError('an argument is missing')
  return first
}
