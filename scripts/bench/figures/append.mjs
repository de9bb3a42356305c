// Appends in process: how many callers times how large a batch, the ledger beside what the disk takes at
// best and beside stores that are made to do the same work.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { callersInFlight } from '../drive.mjs'
import { PeerMissing } from '../peers.mjs'
import { median, ratioOf } from '../statistics.mjs'
import { closeStores, startStore } from '../stores.mjs'

export const title = 'Durable appends in process'
export const peers = ['sqlite', 'lmdb', 'postgres', 'nats']
const servers = new Set(['postgres', 'nats'])
/** The compiler has seen enough after so many events; a store that is slow is not waited for longer. */
const warmUpEvents = 20_000
const warmUpMsMax = 1_500
const targets = { sqlite: 2, lmdb: 2 }

/** Callers that can never wait all at once are the same case as fewer of them. */
export function casesOf(callerCounts, batches) {
  const cases = []
  for (const batch of batches) {
    for (const callers of callerCounts) {
      const last = cases.at(-1)
      const waiting = callersInFlight(callers, batch)
      if (last?.batch === batch && last.waiting === waiting) last.named.push(callers)
      else cases.push({ callers, named: [callers], batch, waiting })
    }
  }
  return cases
}

async function openStores(names, folder, skipped) {
  const stores = []
  for (const name of names) {
    if (skipped.has(name)) continue
    try {
      stores.push(await startStore(name, join(folder, name)))
    } catch (error) {
      if (!(error instanceof PeerMissing)) throw error
      skipped.set(name, error.message)
    }
  }
  return stores
}

async function warmUp(drive, pieceMs) {
  const end = performance.now() + Math.min(warmUpMsMax, 3 * pieceMs)
  for (let events = 0; events < warmUpEvents && performance.now() < end;)
    events += (await drive(Math.min(300, pieceMs))).events
}

/** Every store after the other, again and again: a moment in which the machine is busy meets all of them. */
async function measureCase(one, names, { folder, seconds, rounds, skipped, abouts }) {
  const stores = await openStores(names, folder, skipped)
  const measured = new Map(stores.map(({ name }) => [name, []]))
  const disk = []
  const acknowledged = new Map()
  const drive = async (store, ms) => {
    const result = await store.ask('drive', { callers: one.callers, batch: one.batch, ms })
    acknowledged.set(store.name, (acknowledged.get(store.name) ?? 0) + result.events)
    return result
  }
  try {
    for (const { name, about, version } of stores)
      abouts.set(name, { about, version: version ?? null })
    for (const store of stores) await warmUp((ms) => drive(store, ms), seconds * 1000)
    const bare = stores.find(({ name }) => name === 'bare')
    for (let round = 0; round < rounds; round += 1) {
      for (const store of stores) {
        const from = store.name === 'ledger' ? await store.ask('count') : 0
        measured.get(store.name).push(await drive(store, seconds * 1000))
        if (store.name === 'ledger' && bare !== undefined)
          disk.push(await bare.ask('replay', { ledger: store.folder, from, ms: seconds * 1000 }))
      }
    }
    for (const store of stores) {
      const reopen = !servers.has(store.name)
      await store.ask('verify', { acknowledged: acknowledged.get(store.name), reopen })
    }
  } finally {
    await closeStores(stores)
    rmSync(folder, { recursive: true, force: true })
  }
  return { measured, disk }
}

const summary = (results) => ({
  per_second: Math.round(median(results.map(({ per_second: rate }) => rate))),
  p50_ms: median(results.map(({ p50_ms: ms }) => ms)),
  p99_ms: median(results.map(({ p99_ms: ms }) => ms)),
})

function rowOf(one, { measured, disk }) {
  const stores = Object.fromEntries(
    [...measured].map(([name, results]) => [name, summary(results)]),
  )
  const ledger = stores.ledger.per_second
  if (disk.length > 0)
    stores.disk = { per_second: Math.round(median(disk.map((it) => it.per_second))) }
  const ratios = Object.fromEntries(
    Object.entries(stores)
      .filter(([name]) => name !== 'ledger')
      .map(([name, { per_second: rate }]) => [name, ratioOf(ledger, rate)]),
  )
  return { callers: one.named, batch: one.batch, ratios, stores }
}

export async function measure(run) {
  const { folder, seconds, rounds, callers, batches } = run
  const names = ['ledger', 'bare', ...peers.filter((name) => run.peers.includes(name))]
  const skipped = new Map()
  const abouts = new Map()
  const rows = []
  for (const one of casesOf(callers, batches)) {
    run.say(`appends: ${one.named.join(', ')} callers, batches of ${one.batch}`)
    const options = { folder: join(folder, 'append'), seconds, rounds, skipped, abouts }
    rows.push(rowOf(one, await measureCase(one, names, options)))
  }
  return {
    title,
    ratios: ratiosOf(rows),
    skipped: Object.fromEntries(skipped),
    stores: Object.fromEntries(abouts),
    rows,
  }
}

/** What the targets speak of: single appends of the most callers. */
function ratiosOf(rows) {
  const singles = rows.filter(({ batch }) => batch === 1)
  const most = singles.at(-1) ?? rows.at(-1)
  if (most === undefined) return []
  const where = `${most.callers.at(-1)} callers, batches of ${most.batch}`
  return [
    ...Object.entries(most.ratios).map(([name, value]) => ({
      name: `appends beside ${nameOf(name)} (${where})`,
      value,
      ...(targets[name] === undefined ? {} : { target: targets[name] }),
    })),
    {
      name: `appends of the 100,000 a second to reach (${where})`,
      value: ratioOf(most.stores.ledger.per_second, 100_000),
    },
  ]
}

const names = {
  disk: 'the disk: the same groups, one write and one fdatasync each',
  bare: 'a bare group-commit loop',
  sqlite: 'SQLite doing the same work',
  lmdb: 'LMDB doing the same work',
  postgres: 'PostgreSQL',
  nats: 'NATS JetStream',
}
const nameOf = (name) => names[name] ?? name

const shown = ['ledger', 'disk', 'bare', ...peers]

/** One table with everything: rates, and behind each the ratio of the ledger to it. */
export function tables({ rows, stores, skipped }) {
  const columns = shown.filter((name) => rows.some((row) => row.stores[name] !== undefined))
  const cell = (row, name) => {
    const store = row.stores[name]
    if (store === undefined) return ''
    const rate = store.per_second.toLocaleString('en')
    return name === 'ledger' ? rate : `${rate} (${row.ratios[name]} ×)`
  }
  return [
    {
      caption: 'Events a second; in brackets how many times as fast the ledger is.',
      head: ['batch', 'callers', ...columns, 'ledger p50 ms', 'ledger p99 ms'],
      rows: rows.map((row) => [
        row.batch,
        row.callers.join(', '),
        ...columns.map((name) => cell(row, name)),
        row.stores.ledger.p50_ms,
        row.stores.ledger.p99_ms,
      ]),
      notes: [
        'disk: the very groups that the ledger wrote in that round, one write and one fdatasync each, nothing else.',
        ...Object.entries(stores).map(
          ([name, { about, version }]) =>
            `${name}${version === null ? '' : ` (${version})`}: ${about}.`,
        ),
        ...Object.entries(skipped).map(([name, reason]) => `${name} was skipped: ${reason}.`),
      ],
    },
  ]
}
