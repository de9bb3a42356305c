// How a run is shown: ratios first, then a table for each figure, on a terminal and as Markdown.
import { figures } from './figures.mjs'
import { eventBytes } from './events.mjs'

const isMet = ({ value, target, atMost }) =>
  target === undefined || value === null
    ? ''
    : (atMost ? value <= target : value >= target)
      ? 'met'
      : 'NOT MET'

const goal = ({ target, atMost }) =>
  target === undefined ? '' : `${atMost ? '≤' : '≥'} ${target.toLocaleString('en')}`

export const ratioTable = (results) => ({
  head: ['figure', 'value', 'target', ''],
  rows: Object.values(results).flatMap(({ ratios = [] }) =>
    ratios.map((one) => [one.name, one.value?.toLocaleString('en') ?? '', goal(one), isMet(one)]),
  ),
})

function aligned({ head, rows }) {
  const lines = [head, ...rows].map((row) => row.map(String))
  const widths = head.map((_, i) => Math.max(...lines.map((line) => (line[i] ?? '').length)))
  const format = (line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd()
  const [first, ...rest] = lines
  return [
    format(first),
    widths.map((width) => '-'.repeat(width)).join('  '),
    ...rest.map(format),
  ].join('\n')
}

const machineLines = ({ machine, settings }) => {
  const { disk } = machine
  return [
    `commit ${machine.commit}, node ${machine.node}, ${machine.system}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB, load before ${machine.load_before}`,
    `${disk.filesystem ?? 'unknown file system'}, ${disk.kind ?? 'unknown disk'}${disk.durable ? '' : ' (MEMORY: nothing here is durable)'}; 4 KiB and a sync: p50 ${disk.sync_4k.p50_ms} ms, p99 ${disk.sync_4k.p99_ms} ms`,
    `events of ${eventBytes} bytes; rounds: ${settings.rounds} of ${settings.seconds} s, one store after the other; medians; ${machine.at}`,
  ]
}

const sections = (results) =>
  Object.entries(results).map(([name, result]) => ({
    title: result.title,
    reason: result.reason,
    word: result.failed === true ? 'FAILED' : 'skipped',
    tables: result.reason === undefined ? figures[name].tables(result) : [],
  }))

export function asText(run) {
  const parts = [machineLines(run).join('\n'), aligned(ratioTable(run.figures))]
  for (const { title, reason, word, tables } of sections(run.figures)) {
    parts.push(`== ${title}`)
    if (reason !== undefined) parts.push(`${word}: ${reason}`)
    for (const table of tables) {
      parts.push([table.caption, aligned(table)].filter(Boolean).join('\n'))
      if (table.notes?.length > 0) parts.push(table.notes.map((note) => `  ${note}`).join('\n'))
    }
  }
  return parts.join('\n\n')
}

const markdownTable = ({ head, rows }) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')

export function asMarkdown(run) {
  const parts = [
    machineLines(run)
      .map((line) => `- ${line}`)
      .join('\n'),
    '### Ratios',
    markdownTable(ratioTable(run.figures)),
  ]
  for (const { title, reason, word, tables } of sections(run.figures)) {
    parts.push(`### ${title}`)
    if (reason !== undefined) parts.push(`${word}: ${reason}`)
    for (const table of tables) {
      if (table.caption) parts.push(table.caption)
      parts.push(markdownTable(table))
      if (table.notes?.length > 0) parts.push(table.notes.map((note) => `- ${note}`).join('\n'))
    }
  }
  return parts.join('\n\n')
}
