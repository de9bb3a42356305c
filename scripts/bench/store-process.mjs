// One store in a process of its own, so that none shares its heap or its compiler with another. It is told
// what to do over IPC, one thing at a time.
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { drive } from './drive.mjs'
import { drafts, streamOf } from './events.mjs'
import { journalGroups, replayGroups } from './journal-groups.mjs'
import { PeerMissing } from './peers.mjs'
import { endServers } from './processes.mjs'

const sampledIdsMax = 200
const fillBatch = 1_000
const fillCallers = 16

/** Adds events as fast as batches allow. */
async function fill(store, events) {
  let left = Math.ceil(events / fillBatch)
  const one = async (_, caller) => {
    while (left > 0) {
      left -= 1
      await store.append(streamOf(caller), drafts(fillBatch))
    }
  }
  await Promise.all(Array.from({ length: fillCallers }, one))
}

/** Resident memory in MiB, and how much of it is the program's own and how much mapped files. */
function memoryOf() {
  const status = readFileSync('/proc/self/status', 'utf8')
  const of = (field) =>
    Math.round(Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024)
  return { rss: of('VmRSS'), anonymous: of('RssAnon'), files: of('RssFile') }
}

async function main() {
  const [name, folder] = process.argv.slice(2)
  const { open, about } = await import(`./stores/${name}.mjs`)
  mkdirSync(folder, { recursive: true })
  let store
  let sampled = []
  let settings

  const openStore = async (options) => {
    settings = options
    const began = performance.now()
    const opened = await open(folder, settings)
    const openMs = performance.now() - began
    // Some of what was acknowledged is looked for afterwards by its id.
    const append = async (stream, drafts) => {
      await opened.append(stream, drafts)
      if (sampled.length < sampledIdsMax && Math.random() < 0.1) sampled.push(drafts.at(-1).id)
    }
    store = { ...opened, append }
    return { about, version: opened.version, open_ms: Math.round(openMs), memory: memoryOf() }
  }

  const tasks = {
    open: openStore,
    drive: (options) => drive(store, options),
    count: () => store.count(),
    memory: async () => memoryOf(),
    /** What only this store can do. */
    call: ({ name: what, options }) => store[what](options),
    fill: ({ events }) => fill(store, events),
    async replay({ ledger, from, ms }) {
      return replayGroups(`${folder}/replay`, await journalGroups(ledger, from), ms)
    },
    /** Everything acknowledged must be there; servers are asked as they run, libraries after opening them anew. */
    async verify({ acknowledged, reopen }) {
      if (reopen) {
        await store.close()
        await openStore(settings)
      }
      const found = await store.count()
      if (found < acknowledged)
        throw new Error(`${name} acknowledged ${acknowledged} events and holds ${found}`)
      for (const id of sampled) if (!(await store.has(id))) throw new Error(`${name} lost ${id}`)
      sampled = []
      return found
    },
    close: () => store?.close(),
  }
  // The bench is gone and its folder with it: no server must outlive it. Ctrl-C is the bench's to answer.
  process.once('disconnect', () => {
    endServers()
    process.exit(1)
  })
  process.on('SIGINT', () => {})
  for (;;) {
    const [{ task, options }] = await once(process, 'message')
    try {
      process.send({ answer: (await tasks[task](options)) ?? null })
    } catch (error) {
      process.send({
        error: error.stack,
        missing: error instanceof PeerMissing ? error.message : null,
      })
    }
    if (task === 'close') break
  }
  process.removeAllListeners('disconnect')
  process.disconnect()
}

await main()
