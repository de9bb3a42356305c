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

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** A number of bytes as people read it: `12.3 MiB`. */
export function bytesText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toFixed(1)} ${units[power] ?? ''}`
}

const durationText = (seconds: number): string => {
  const [s, m, h] = [seconds % 60, Math.floor(seconds / 60) % 60, Math.floor(seconds / 3600)]
  return h > 0 ? `${h} h ${m} min` : m > 0 ? `${m} min ${Math.floor(s)} s` : `${Math.ceil(s)} s`
}

/** A bar for work whose bytes are known, with its rate and how long it still takes. */
export function bytesBar(terminal: Terminal, what: string, now: () => number): Progress {
  if (!terminal.isTerminal) return { update: () => undefined, end: () => undefined }
  const bar = new Bar(
    {
      format: `${what} {bar} {percentage}% | {done} of {all} | {rate}/s | {left} left`,
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  )
  let began: { readonly ms: number; readonly bytes: number } | undefined
  return {
    update(done, total) {
      // What an earlier run had done does not count for the rate of this one.
      const since = began ?? { ms: now(), bytes: done }
      const seconds = (now() - since.ms) / 1000
      const rate = seconds > 0 ? (done - since.bytes) / seconds : 0
      const shown = {
        done: bytesText(done),
        all: bytesText(total),
        rate: bytesText(Math.round(rate)),
        left: rate > 0 ? durationText((total - done) / rate) : '…',
      }
      if (began === undefined) bar.start(total, done, shown)
      began = since
      bar.setTotal(total)
      bar.update(done, shown)
    },
    end() {
      if (began !== undefined) bar.stop()
    },
  }
}
