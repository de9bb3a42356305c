// From an append to a proof that a stranger can verify, and how many proofs are made and verified.
import { join } from 'node:path'
import { median } from '../statistics.mjs'
import { startStore } from '../stores.mjs'

export const title = 'Proofs'
const events = 100_000
const loads = [64, 1024]

export async function measure(run) {
  run.say('proofs')
  const store = await startStore('ledger', join(run.folder, 'ledger'))
  const ms = run.seconds * 1000
  try {
    await store.ask('fill', { events })
    const rows = []
    for (const callers of loads) {
      const results = []
      for (let round = 0; round < run.rounds; round += 1)
        results.push(
          await store.ask('call', { name: 'usableProofs', options: { callers, ms: 2 * ms } }),
        )
      const middle = (field) => median(results.map((result) => result[field]))
      rows.push({
        callers,
        load_per_second: middle('load_per_second'),
        p50_ms: middle('p50_ms'),
        p99_ms: middle('p99_ms'),
      })
    }
    const rates = await store.ask('call', { name: 'proofRates', options: { ms } })
    return { title, ratios: ratiosOf(rows, rates), rows, rates }
  } finally {
    await store.close()
  }
}

const ratiosOf = (rows, rates) => [
  ...rows.map(({ callers, p99_ms: value }) => ({
    name: `append to usable inclusion proof, p99 in ms beside ${callers} other callers`,
    value,
    target: 250,
    atMost: true,
  })),
  {
    name: `inclusion proofs verified a second against one checkpoint (${rates.leaves.toLocaleString('en')} leaves)`,
    value: rates.verify_per_second,
    target: 20_000,
  },
]

export const tables = ({ rows, rates }) => [
  {
    caption:
      'From calling append to holding an inclusion proof that a published checkpoint carries, while other callers append.',
    head: ['other callers', 'their appends/s', 'p50 ms', 'p99 ms'],
    rows: rows.map((row) => [
      row.callers,
      row.load_per_second.toLocaleString('en'),
      row.p50_ms,
      row.p99_ms,
    ]),
    notes: [
      `Of random leaves among ${rates.leaves.toLocaleString('en')}: ${rates.prove_per_second.toLocaleString('en')} proofs made a second, ${rates.verify_per_second.toLocaleString('en')} verified a second, one thread.`,
    ],
  },
]
