// One ledger that grows: what the targets for 20 million events are about.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { grownTable, measureGrown } from '../grown.mjs'

export const title = 'Growth'
export const isAsked = ({ growth }) => growth !== ''

export async function measure(run) {
  mkdirSync(run.folder, { recursive: true })
  const rows = []
  for (const millions of [...run.growth].sort((a, b) => a - b)) {
    run.say(`growth: ${millions} million events`)
    rows.push(await measureGrown(join(run.folder, 'ledger'), millions * 1_000_000, run))
  }
  rmSync(run.folder, { recursive: true, force: true })
  return { title, ratios: ratiosOf(rows.at(-1)), rows }
}

function ratiosOf(row) {
  if (row === undefined) return []
  const at = `with ${row.events.toLocaleString('en')} events`
  const { memory_mib: memory } = row
  return [
    { name: `append rate beside a fresh ledger's, ${at}`, value: row.ratio_to_fresh, target: 0.9 },
    { name: `clean start in ms, ${at}`, value: row.clean_start_ms, target: 2_000, atMost: true },
    {
      name: `resident memory in MiB after appends, ${at}`,
      value: memory.after_appends.rss,
      target: 512,
      atMost: true,
    },
    { name: `proofs verified a second, ${at}`, value: row.verify_per_second, target: 20_000 },
  ]
}

export const tables = ({ rows }) => [grownTable(rows)]
