// How fast durable appends are, beside what the disk and Node allow at best: a bare loop that groups the
// callers that wait and does one write and one fdatasync for the same bytes, with nothing else in it.
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { commit, ensureBuilt, repository } from './built.mjs'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    callers: { type: 'string', default: '1,64,1024' },
    /** Folder on the disk to measure; the default may be memory. */
    folder: { type: 'string', default: tmpdir() },
  },
})

const eventBytes = 500
const measureMs = Number(values.seconds) * 1000
const warmUpMs = 500
const callerCounts = values.callers.split(',').map(Number)

/** Lets `callers` append one after the other for a while; answers rate and latency after the warm-up. */
async function drive(callers, append) {
  const latencies = []
  const began = performance.now()
  const counted = began + warmUpMs
  const end = counted + measureMs
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let at = performance.now(); at < end;) {
        await append(caller)
        const after = performance.now()
        if (at >= counted && after <= end) latencies.push(after - at)
        at = after
      }
    }),
  )
  latencies.sort((a, b) => a - b)
  const quantile = (share) =>
    Number((latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(3))
  return {
    per_second: Math.round((latencies.length * 1000) / measureMs),
    p50_ms: quantile(0.5),
    p99_ms: quantile(0.99),
  }
}

const bytesBelow = async (folder) => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => stat(join(entry.parentPath, entry.name))),
  )
  return sizes.reduce((sum, { size }) => sum + size, 0)
}

async function benchLedger(folder, callers) {
  const { openJournal } = await import(
    pathToFileURL(join(repository, 'dist/ledger/adapters/open-journal.js')).href
  )
  const ledger = await openJournal({ folder, now: Date.now })
  const metadata = Buffer.from('{}')
  const result = await drive(callers, (caller) =>
    ledger.append({
      project: 'default',
      stream: `bench-${caller}`,
      expected: 'any',
      events: [
        {
          id: randomUUID(),
          type: 'bench.happened',
          version: '0',
          writer: 'client',
          actor: 'bench',
          contentType: 'application/octet-stream',
          data: randomBytes(eventBytes),
          metadata,
        },
      ],
    }),
  )
  const events = await ledger.size()
  await ledger.close()
  return { ...result, events, bytes_per_event: Math.round((await bytesBelow(folder)) / events) }
}

/** The floor: callers that wait are written together. No ids, no digests, no tree, no index. */
async function benchBare(folder, callers, bytesPerEvent) {
  const file = await open(join(folder, 'bare'), 'w')
  const record = randomBytes(bytesPerEvent)
  let waiting = []
  let running = false
  const flush = async () => {
    running = true
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      try {
        await file.write(Buffer.concat(group.map(({ bytes }) => bytes)))
        await file.datasync()
        for (const { done } of group) done()
      } catch (error) {
        for (const { failed } of group) failed(error)
      }
    }
    running = false
  }
  const result = await drive(
    callers,
    () =>
      new Promise((done, failed) => {
        waiting.push({ bytes: record, done, failed })
        if (!running) void flush()
      }),
  )
  await file.close()
  return result
}

async function main() {
  await ensureBuilt({ only: ['code'] })
  const rows = []
  for (const callers of callerCounts) {
    const folder = await mkdtemp(join(values.folder, 'fractalops-bench-'))
    try {
      const ledger = await benchLedger(join(folder, 'ledger'), callers)
      const bare = await benchBare(folder, callers, ledger.bytes_per_event)
      rows.push({
        callers,
        ratio_to_bare: Number((ledger.per_second / bare.per_second).toFixed(3)),
        ledger,
        bare,
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  for (const { callers, ratio_to_bare: ratio, ledger, bare } of rows) {
    console.log(
      `${String(callers).padStart(5)} callers: ${ratio.toFixed(2)} of a bare write+fdatasync loop ` +
        `(${ledger.per_second}/s, p99 ${ledger.p99_ms} ms; bare ${bare.per_second}/s, p99 ${bare.p99_ms} ms)`,
    )
  }
  const about = {
    commit: commit(),
    node: process.version,
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    event_bytes: eventBytes,
  }
  console.log(JSON.stringify({ ...about, rows }, null, 2))
}

await main()
