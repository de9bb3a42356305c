import { useSyncExternalStore } from 'react'

const tickMs = 15_000
const watchers = new Set<() => void>()
let now = Date.now()
let timer: number | undefined

const tick = () => {
  now = Date.now()
  for (const watch of watchers) watch()
}

function subscribe(watch: () => void) {
  watchers.add(watch)
  timer ??= window.setInterval(tick, tickMs)
  return () => {
    watchers.delete(watch)
    if (watchers.size > 0) return
    window.clearInterval(timer)
    timer = undefined
  }
}

/** The time of the page: one clock for everything that shows an age. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => now)

const units = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
] as const

/** How long ago a time was, in the largest unit that fits. */
export function ageOf(time: string, present: number): string {
  const seconds = Math.round((present - Date.parse(time)) / 1000)
  const [size, unit] = units.find(([length]) => Math.abs(seconds) >= length) ?? [1, 's']
  if (Math.abs(seconds) < 20) return 'just now'
  const count = Math.floor(Math.abs(seconds) / size)
  return seconds < 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`
}

/** A ledger time as people read it; always UTC, so that two people speak of the same moment. */
export const utcText = (time: string): string =>
  time.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC')
