// One store in a process of its own, so that none shares its heap or its compiler with another. It is told
// what to do over IPC, one thing at a time.
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { drive } from './drive.mjs'
import { journalGroups, replayGroups } from './journal-groups.mjs'
import { PeerMissing } from './peers.mjs'

const sampledIdsMax = 200

async function main() {
  const [name, folder] = process.argv.slice(2)
  const { open, about } = await import(`./stores/${name}.mjs`)
  mkdirSync(folder, { recursive: true })
  let store
  let sampled = []
  let settings

  const openStore = async (options) => {
    settings = options
    const opened = await open(folder, settings)
    // Some of what was acknowledged is looked for afterwards by its id.
    const append = async (stream, drafts) => {
      await opened.append(stream, drafts)
      if (sampled.length < sampledIdsMax && Math.random() < 0.1) sampled.push(drafts.at(-1).id)
    }
    store = { ...opened, append }
    return { about, version: opened.version }
  }

  const tasks = {
    open: openStore,
    drive: (options) => drive(store, options),
    count: () => store.count(),
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
  // The bench is gone: a server must not outlive it. Ctrl-C is the bench's to answer.
  process.once('disconnect', () => void store?.close())
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
  store = undefined
  process.disconnect()
}

await main()
