import { Bar, Presets } from 'cli-progress'
import type { Terminal } from './command.js'

const cellCharactersMax = 60

// eslint-disable-next-line no-control-regex -- control characters are what is taken out
const controls = /[\u0000-\u001f\u007f-\u009f]/g

/** One line of text: what others wrote must not move the cursor of a terminal. */
function plain(value: unknown): string {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.replaceAll(controls, ' ')
}

/** Rows as a table; on a terminal cells are cut to fit, in a pipe they are whole. */
export function table(
  terminal: Terminal,
  headings: readonly string[],
  rows: readonly (readonly unknown[])[],
): string {
  const max = terminal.isTerminal ? cellCharactersMax : Number.POSITIVE_INFINITY
  const cut = (text: string) => (text.length > max ? `${text.slice(0, max - 1)}…` : text)
  const cells = [headings, ...rows].map((row) => row.map((cell) => cut(plain(cell))))
  const widths = headings.map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  )
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

export const printJson = (terminal: Terminal, value: unknown): void =>
  terminal.out(`${JSON.stringify(value, null, 2)}\n`)

export interface Progress {
  update(done: number, total: number): void
  end(): void
}

/** A bar for long work on a terminal; nothing where nobody looks. */
export function progressBar(terminal: Terminal, what: string): Progress {
  if (!terminal.isTerminal) return { update: () => undefined, end: () => undefined }
  const bar = new Bar(
    {
      format: `${what} {bar} {percentage}% | {value} of {total}`,
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  )
  let started = false
  return {
    update(done, total) {
      if (!started) bar.start(total, done)
      started = true
      bar.setTotal(total)
      bar.update(done)
    },
    end() {
      if (started) bar.stop()
    },
  }
}
