import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import {
  type AllPosition,
  allPositionOf,
  AllPositionText,
  allPositionText,
} from '../ledger/all-position.js'
import {
  compareMove,
  type Move,
  type MoveComparison,
  type MoveCounts,
  moveEvents,
} from '../runtime/move-events.js'
import { type Context, UsageError } from './command.js'
import { type ConnectionFlags, dataFolderOf } from './connection.js'
import { printJson, progressBar } from './print.js'

export const moveFlags = {
  name: { type: 'string' },
  prefix: { type: 'string' },
  ledger: { type: 'string' },
  state: { type: 'string' },
} as const

export const isConnectionString = (text: string): boolean =>
  /^(esdb|kurrentdb|kurrent|kdb)(\+discover)?:\/\//.test(text)

/** How far a move has come, kept beside the data folder so that an interrupted one goes on. */
const State = z.strictObject({
  format: z.literal('fractalops/move/1'),
  /** The address of the store that is not ours; our own may listen elsewhere after its next start. */
  other: z.string(),
  name: z.string(),
  prefix: z.string(),
  position: AllPositionText.transform(allPositionOf),
})
type Kept = Omit<z.input<typeof State>, 'format' | 'position'>

interface MoveFlags extends ConnectionFlags {
  readonly name?: string | undefined
  readonly prefix?: string | undefined
  readonly state?: string | undefined
  readonly json?: boolean | undefined
}

/** Moves events from one store to the other, shows how far it is, and compares both at the end; answers the exit code. */
export async function moveBetween(
  flags: MoveFlags,
  context: Context,
  way: {
    readonly what: 'import' | 'export'
    readonly source: string
    readonly target: string
    /** The store that is not ours: the move has its name unless it is given one. */
    readonly other: string
    readonly repeatedBy: Move['repeatedBy']
  },
): Promise<number> {
  const { prefix = '' } = flags
  if (flags.name !== undefined && !/^[\w.:~-]{1,100}$/.test(flags.name))
    throw new UsageError('--name takes up to 100 of A-Z a-z 0-9 . _ ~ : -')
  const ending = new AbortController()
  void context.interrupted().then(() => ending.abort())
  const source = await context.openMovable(way.source)
  try {
    const target = await context.openMovable(way.target)
    try {
      const other = (way.other === way.source ? source : target).address
      const name = flags.name ?? other
      const move: Move = {
        source,
        target,
        name,
        prefix,
        repeatedBy: way.repeatedBy,
        signal: ending.signal,
      }
      const file = stateFile(flags, context, `${way.what}-${name}.json`)
      const kept = { other, name, prefix }
      return await run(move, { file, kept }, context, flags.json ?? false)
    } finally {
      target.close()
    }
  } catch (error) {
    if (!ending.signal.aborted) throw error
    context.terminal.err('interrupted: the same command goes on where it stood\n')
    return 1
  } finally {
    source.close()
  }
}

async function run(
  move: Move,
  { file, kept }: { readonly file: string; readonly kept: Kept },
  context: Context,
  json: boolean,
): Promise<number> {
  const after = readState(file, kept)
  const moving = progressBar(context.terminal, 'moving')
  let position = after
  let counts: MoveCounts
  try {
    counts = await moveEvents(move, after, {
      progress: ({ done, end }) => moving.update(percentOf(done, end), 100),
      saved: async (saved) => {
        position = saved
        writeState(file, kept, saved)
      },
    })
  } finally {
    moving.end()
  }
  if (position === undefined) {
    context.terminal.out('there are no events to move\n')
    return 0
  }
  const bars = {
    source: progressBar(context.terminal, 'reading source'),
    target: progressBar(context.terminal, 'reading target'),
  }
  try {
    let shown: keyof typeof bars = 'source'
    const comparison = await compareMove(move, position, (side, { done, end }) => {
      if (side !== shown) bars[shown].end()
      shown = side
      bars[side].update(percentOf(done, end), 100)
    })
    bars[shown].end()
    if (json) printJson(context.terminal, { ...counts, ...comparison })
    else context.terminal.out(reportOf(move, counts, comparison))
    return comparison.sameEvents ? 0 : 1
  } finally {
    for (const bar of Object.values(bars)) bar.end()
  }
}

const percentOf = (done: AllPosition, end: AllPosition): number =>
  end.commit === 0n ? 100 : Number((done.commit * 100n) / end.commit)

function reportOf(
  { source, target, name }: Move,
  counts: MoveCounts,
  { source: there, target: here, sameEvents, sameOrder }: MoveComparison,
): string {
  const lines = [
    `${counts.moved} events moved as ${name}, ${counts.ended} streams ended, ${counts.left} events of the store itself left`,
    `${source.address} holds ${there.events} events, sum ${there.sum}`,
    `${target.address} holds ${here.events} of them, sum ${here.sum}`,
  ]
  if (counts.renamed > 0)
    lines.push(`${counts.renamed} events have another id there: an earlier event had theirs`)
  lines.push(
    sameEvents
      ? `The same events at both places, byte for byte${sameOrder ? ', in the same order.' : '; across streams their order differs.'}`
      : 'NOT the same events at both places.',
  )
  return `${lines.join('\n')}\n`
}

/** @throws UsageError when no data folder is there to keep the state in. */
function stateFile(flags: MoveFlags, context: Context, name: string): string {
  if (flags.state !== undefined) return resolve(context.cwd, flags.state)
  const data = dataFolderOf(flags, context)
  if (!existsSync(data))
    throw new UsageError(`${data} is no data folder: --state names a file that keeps how far it is`)
  return join(data, 'moves', name.replaceAll(':', '_'))
}

function readState(file: string, kept: Kept): AllPosition | undefined {
  if (!existsSync(file)) return undefined
  const parsed = State.safeParse(parseJson(readFileSync(file, 'utf8')))
  const state = parsed.data
  if (
    state === undefined ||
    state.other !== kept.other ||
    state.name !== kept.name ||
    state.prefix !== kept.prefix
  )
    throw new EvidenceError(
      'REQUEST_INVALID',
      `${file} keeps how far another move has come: give this one another --name, or remove the file to begin anew`,
    )
  return state.position
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function writeState(file: string, kept: Kept, position: AllPosition): void {
  mkdirSync(dirname(file), { recursive: true })
  const state: z.input<typeof State> = {
    format: 'fractalops/move/1',
    ...kept,
    position: allPositionText(position),
  }
  // Replaced whole: a kill leaves the one before, from which repeating appends nothing twice.
  writeFileSync(`${file}.new`, `${JSON.stringify(state)}\n`)
  renameSync(`${file}.new`, file)
}
