// A ledger of a given size: how fast it still is, how it starts, what memory and disk it takes.
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { median, ratioOf } from './statistics.mjs'
import { startStore } from './stores.mjs'

const fillChunk = 200_000
const killAfterMs = 500

export const bytesBelow = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)

/** Fills a ledger up to `events` and answers its folder's size per event. */
async function fillTo(folder, events, say) {
  const store = await startStore('ledger', folder)
  try {
    for (let held = await store.ask('count'); held < events; held = await store.ask('count')) {
      say(`  ${held.toLocaleString('en')} of ${events.toLocaleString('en')} events`)
      await store.ask('fill', { events: Math.min(fillChunk, events - held) })
    }
    return { memory: await store.ask('memory') }
  } finally {
    await store.close()
  }
}

/** Stops in the middle of appends as a power cut does to the process, then starts again. */
async function startAfterKill(folder, callers) {
  const store = await startStore('ledger', folder)
  const before = await store.ask('count')
  const driven = store.ask('drive', { callers, batch: 1, ms: 60_000 }).catch(() => undefined)
  await new Promise((done) => setTimeout(done, killAfterMs))
  await store.kill()
  await driven
  const again = await startStore('ledger', folder)
  const after = await again.ask('count')
  await again.close()
  if (after < before) throw new Error(`${before - after} events are gone after kill -9`)
  return again.open_ms
}

/** Appends to the grown ledger and to a fresh one, in turn. */
async function appendsBesideFresh(grown, freshFolder, { callers, seconds, rounds }) {
  const fresh = await startStore('ledger', freshFolder)
  const rates = { grown: [], fresh: [] }
  try {
    for (let round = -1; round < rounds; round += 1) {
      for (const [name, store] of Object.entries({ grown, fresh })) {
        const { per_second: rate } = await store.ask('drive', {
          callers,
          batch: 1,
          ms: seconds * 1000,
        })
        // The first round is for the compiler.
        if (round >= 0) rates[name].push(rate)
      }
    }
  } finally {
    await fresh.close()
    rmSync(freshFolder, { recursive: true, force: true })
  }
  return { grown: Math.round(median(rates.grown)), fresh: Math.round(median(rates.fresh)) }
}

export async function measureGrown(folder, events, run) {
  const callers = Math.max(...run.callers)
  const filled = await fillTo(folder, events, run.say)
  const bytes = bytesBelow(folder)
  const store = await startStore('ledger', folder)
  let result
  try {
    const held = await store.ask('count')
    const options = { ms: run.seconds * 1000 }
    const append = await appendsBesideFresh(store, `${folder}-fresh`, { ...run, callers })
    const proofs = await store.ask('call', { name: 'proofRates', options })
    result = {
      events: held,
      clean_start_ms: store.open_ms,
      append_per_second: append.grown,
      fresh_per_second: append.fresh,
      ratio_to_fresh: ratioOf(append.grown, append.fresh),
      ...proofs,
      disk_bytes_per_event: Math.round(bytes / held),
      memory_mib: {
        after_filling: filled.memory,
        after_start: store.memory,
        after_appends: await store.ask('memory'),
      },
    }
  } finally {
    await store.close()
  }
  return { ...result, start_after_kill_ms: await startAfterKill(folder, callers) }
}

const head = [
  'events',
  'clean start ms',
  'start after kill -9 ms',
  'appends/s',
  'fresh appends/s',
  'of fresh',
  'proofs made/s',
  'verified/s',
  'disk bytes/event',
  'memory MiB after start',
  'after appends',
  'after filling',
]

const memory = ({ rss, anonymous, files }) => `${rss} (${anonymous} own, ${files} files)`

export const grownTable = (rows) => ({
  head,
  rows: rows.map((row) => [
    row.events.toLocaleString('en'),
    row.clean_start_ms,
    row.start_after_kill_ms,
    row.append_per_second.toLocaleString('en'),
    row.fresh_per_second.toLocaleString('en'),
    row.ratio_to_fresh,
    row.prove_per_second.toLocaleString('en'),
    row.verify_per_second.toLocaleString('en'),
    row.disk_bytes_per_event,
    memory(row.memory_mib.after_start),
    memory(row.memory_mib.after_appends),
    memory(row.memory_mib.after_filling),
  ]),
  notes: [
    'Starts are of openJournal in a new process, whose memory is all that is counted: Node itself takes about 45 MiB of it.',
    'Verified are inclusion proofs of random leaves against one checkpoint over all of them.',
  ],
})
