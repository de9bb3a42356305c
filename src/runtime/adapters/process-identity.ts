import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const hasProc = existsSync('/proc/self/stat')

/**
 * When a process started, in the words of the operating system; undefined when it does not run.
 * With its pid it names one process: a pid alone is given to others later.
 */
export function startTimeOf(pid: number): string | undefined {
  try {
    if (!hasProc) {
      return (
        execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() ||
        undefined
      )
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold anything; what follows the last one is state and 19 numbers.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch (error) {
    if (error instanceof Error && ('code' in error || 'status' in error)) return undefined
    throw error
  }
}

/** The arguments a process was started with; empty when they cannot be read. */
export function argumentsOf(pid: number): readonly string[] {
  try {
    if (!hasProc) {
      return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' })
        .trim()
        .split(/\s+/)
    }
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch (error) {
    if (error instanceof Error && ('code' in error || 'status' in error)) return []
    throw error
  }
}

/** Pids of processes that were started with this argument; none where the system has no /proc. */
export const startedWith = (argument: string): readonly number[] =>
  !hasProc
    ? []
    : readdirSync('/proc')
        .filter((name) => /^[0-9]+$/.test(name))
        .map(Number)
        .filter((pid) => pid !== process.pid && argumentsOf(pid).includes(argument))
