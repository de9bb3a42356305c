import { type Command, readArgs } from './command.js'
import { dataFolderOf } from './connection.js'
import { printJson, progressBar } from './print.js'

const flags = { data: { type: 'string' }, json: { type: 'boolean' } } as const
const shownMax = 50

export const fsck: Command = {
  name: 'fsck',
  usage: '[--data DIR]',
  summary: 'Check every record, digest, chain, checkpoint and seal of a stopped ledger',
  async run(args, context) {
    const { values } = readArgs(args, flags)
    const { terminal } = context
    const bar = progressBar(terminal, 'checking')
    const report = await context.offline
      .fsck(dataFolderOf(values, context), ({ bytesDone, bytesTotal }) =>
        bar.update(bytesDone, bytesTotal),
      )
      .finally(() => bar.end())
    if (values.json) printJson(terminal, report)
    else {
      terminal.out(
        `${report.origin}: ${report.events} events${report.raw === 0 ? '' : ` and ${report.raw} raw leaves`} in ${report.segments} segments, ${report.checkpoints} kept checkpoints, ${report.seals} seals\n`,
      )
      for (const { segment, offset, position, flaw } of report.problems.slice(0, shownMax)) {
        terminal.out(
          `damaged: ${segment} at offset ${offset}${position === null ? '' : `, position ${position}`}: ${flaw}\n`,
        )
      }
      if (report.problemCount > shownMax)
        terminal.out(`… ${report.problemCount} problems in all; --json names them\n`)
      if (report.tornTail !== null)
        terminal.out(
          `a write that was never acknowledged ends ${report.tornTail.segment} at offset ${report.tornTail.offset}; the next start cuts it off\n`,
        )
      terminal.out(
        report.sound
          ? 'sound: every record, digest, chain, checkpoint and seal agrees\n'
          : 'not sound: keep a copy of the folder and restore it from a backup\n',
      )
    }
    return report.sound ? 0 : 1
  },
}
