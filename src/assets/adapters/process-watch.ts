import { type ProcessName, isAlive } from './process-table.js'

const pollIntervalMs = 1_000

interface Watched {
  readonly changed: () => void
  /** The processes whose end is news; a mutation in progress holds the news back. */
  processes: readonly ProcessName[]
}

/** Tells when watched processes end without a mutation: our children at once, adopted ones within a second. */
export interface ProcessWatch {
  add(key: string, changed: () => void): void
  /** These processes were found; while a mutation holds the asset, they are its own affair. */
  found(key: string, processes: readonly ProcessName[]): void
  /** A mutation begins: what ends from here on is its own doing. */
  hold(key: string): void
  /** It ended: these processes are watched from here on. */
  release(key: string, processes: readonly ProcessName[]): void
  /** A child of ours exited. */
  exited(pid: number): void
  close(): void
}

export function watchProcesses(
  eachRound: () => Promise<void>,
  onError: (error: unknown) => void,
): ProcessWatch {
  const watched = new Map<string, Watched>()
  const held = new Set<string>()
  let isPolling = false

  const tell = (key: string, entry: Watched, ended: (process: ProcessName) => boolean) => {
    const left = entry.processes.filter((process) => !ended(process))
    if (held.has(key) || left.length === entry.processes.length) return
    entry.processes = left
    entry.changed()
  }

  const poll = async () => {
    if (isPolling) return
    isPolling = true
    try {
      for (const [key, entry] of watched) {
        const ended = new Set<ProcessName>()
        for (const process of entry.processes) if (!(await isAlive(process))) ended.add(process)
        tell(key, entry, (process) => ended.has(process))
      }
      await eachRound()
    } catch (error) {
      onError(error)
    } finally {
      isPolling = false
    }
  }
  const timer = setInterval(() => void poll(), pollIntervalMs)
  timer.unref()

  const found = (key: string, processes: readonly ProcessName[]) => {
    const entry = watched.get(key)
    if (entry !== undefined && !held.has(key)) entry.processes = processes
  }

  return {
    add(key, changed) {
      watched.set(key, { changed, processes: [] })
    },
    found,
    hold: (key) => void held.add(key),
    release(key, processes) {
      held.delete(key)
      found(key, processes)
    },
    exited(pid) {
      for (const [key, entry] of watched) tell(key, entry, (process) => process.pid === pid)
    },
    close() {
      clearInterval(timer)
      watched.clear()
    },
  }
}
