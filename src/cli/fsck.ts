import {
  fsckFormat,
  FsckReportFile,
  type LedgerPart,
  partOf,
  partRemedies,
} from '../contracts/fsck-report.js'
import { type Command, readArgs, type Terminal } from './command.js'
import { dataFolderOf } from './connection.js'
import type { FsckReport } from '../ledger/fsck-report.js'
import { bytesBar, printJson } from './print.js'

const flags = {
  data: { type: 'string' },
  json: { type: 'boolean' },
  resume: { type: 'boolean' },
} as const
const shownMax = 50
/** As a shell has it for a program that Ctrl-C ended. */
const interruptedCode = 130

export const fsck: Command = {
  name: 'fsck',
  usage: '[--data DIR] [--resume] [--json]',
  summary: 'Check every byte of a stopped ledger; --resume goes on where a check was interrupted',
  async run(args, context) {
    const { values } = readArgs(args, flags)
    const { terminal } = context
    const bar = bytesBar(terminal, 'checking', context.now)
    const stopping = new AbortController()
    void context.interrupted().then(() => stopping.abort())
    const outcome = await context.offline
      .fsck(
        dataFolderOf(values, context),
        {
          resume: values.resume === true,
          signal: stopping.signal,
          onNotice: (notice) => terminal.err(`${notice}\n`),
        },
        ({ bytesDone, bytesTotal }) => bar.update(bytesDone, bytesTotal),
      )
      .finally(() => bar.end())
    const report = reportOf(outcome)
    if (values.json) printJson(terminal, report)
    else show(terminal, report)
    if (!report.finished) return interruptedCode
    return report.sound ? 0 : 1
  },
}

const pathOf = (segment: string): string =>
  segment.endsWith('.journal') ? `journal/${segment}` : segment

/** The report as it is published (schemas/fsck-report.v1.json). */
function reportOf(outcome: FsckReport): FsckReportFile {
  const problems = outcome.problems.map(({ segment, ...problem }) => ({
    part: partOf(segment),
    file: pathOf(segment),
    ...problem,
  }))
  const parts = new Set<LedgerPart>(problems.map(({ part }) => part))
  return FsckReportFile.parse({
    format: fsckFormat,
    origin: outcome.origin,
    finished: outcome.finished,
    sound: outcome.sound,
    size: outcome.size,
    events: outcome.events,
    raw_leaves: outcome.raw,
    segments: outcome.segments,
    checkpoints: outcome.checkpoints,
    witnessed: outcome.witnessed,
    seals: outcome.seals,
    index: outcome.index,
    uniqueness: outcome.uniqueness,
    problems,
    problem_count: outcome.problemCount,
    remedies: [...parts].map((part) => ({ part, remedy: partRemedies[part] })),
    torn_tail:
      outcome.tornTail === null
        ? null
        : { file: pathOf(outcome.tornTail.segment), offset: outcome.tornTail.offset },
    unfinished_erasure: outcome.unfinishedErasure,
    resumed_from: outcome.resumedFrom,
  } satisfies FsckReportFile)
}

function show(terminal: Terminal, report: FsckReportFile): void {
  const say = (line: string) => terminal.out(`${line}\n`)
  const raw = report.raw_leaves === 0 ? '' : ` and ${report.raw_leaves} raw leaves`
  const witnessed = report.witnessed === 0 ? '' : `, ${report.witnessed} witnessed ones`
  say(
    `${report.origin}: ${report.events} events${raw} in ${report.segments} segments, ${report.checkpoints} kept checkpoints${witnessed}, ${report.seals} seals`,
  )
  say(indexLine(report))
  if (report.resumed_from > 0)
    say(`leaves below position ${report.resumed_from} were read by the check that was interrupted`)
  for (const { part, file, offset, position, flaw } of report.problems.slice(0, shownMax)) {
    const at = position === null ? '' : `, position ${position}`
    say(`${titles[part]}: ${file} at offset ${offset}${at}: ${flaw}`)
  }
  if (report.problem_count > shownMax)
    say(`… ${report.problem_count} problems in all; --json names them`)
  if (report.torn_tail !== null)
    say(
      `a write that was never acknowledged ends ${report.torn_tail.file} at offset ${report.torn_tail.offset}; the next start cuts it off`,
    )
  if (report.unfinished_erasure !== null)
    say(
      `the erasure of the event ${report.unfinished_erasure} is not finished; the next start does`,
    )
  conclude(report, say)
}

const titles: Readonly<Record<LedgerPart, string>> = {
  journal: 'damaged',
  checkpoints: 'damaged',
  witnessed: 'witnessed checkpoints',
  erasure: 'damaged',
  index: 'index',
  tiles: 'hash tiles',
}

const indexLine = ({ index, size }: FsckReportFile): string =>
  index.state === 'absent'
    ? 'there is no index; a start makes it'
    : `index and hash tiles hold ${index.through} of ${size} leaves: ${index.state}`

function conclude(report: FsckReportFile, say: (line: string) => void): void {
  if (!report.finished) {
    say(
      `interrupted after ${report.size} leaves: nothing is said of the rest; fsck --resume goes on from about here`,
    )
    return
  }
  if (report.sound) {
    say('sound: every record, digest, chain, checkpoint, seal, index entry and hash tile agrees')
    return
  }
  if (report.uniqueness === 'not-checked')
    say('not checked: whether every id stands there once; mend what is named and check again')
  const parts = new Set(report.problems.map(({ part }) => part))
  if (!['journal', 'checkpoints', 'erasure'].some((part) => parts.has(part as LedgerPart)))
    say('nothing is wrong with the journal itself')
  for (const remedy of new Set(report.remedies.map((one) => one.remedy)))
    say(`not sound: ${remedy}`)
}
