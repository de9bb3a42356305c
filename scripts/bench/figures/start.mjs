import { join } from 'node:path'
import { grownTable, measureGrown } from '../grown.mjs'

export const title = 'Starts, memory and disk of a small ledger'
const events = 200_000

export async function measure(run) {
  run.say(`starts, memory and disk: ${events.toLocaleString('en')} events`)
  return { title, ratios: [], rows: [await measureGrown(join(run.folder, 'ledger'), events, run)] }
}

export const tables = ({ rows }) => [grownTable(rows)]
