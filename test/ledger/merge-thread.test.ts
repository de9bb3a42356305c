import { join } from 'node:path'
import t, { type Test } from 'tap'
import { boundedCache } from '../../src/ledger/adapters/bounded-cache.js'
import { type FilePort, nodeFiles } from '../../src/ledger/adapters/file-port.js'
import { entryWords, type Words } from '../../src/ledger/adapters/index-page.js'
import { merge } from '../../src/ledger/adapters/merge-thread.js'
import { createRunWriter } from '../../src/ledger/adapters/run-writer.js'
import { openRun, type SortedRun } from '../../src/ledger/adapters/sorted-run.js'
import { temporaryFolder } from '../support/ledger.js'

const pageCache = boundedCache<string, Words>(16)
const perRun = 60_000
const runs = 3

/** Runs whose entries take turns: entry i of run r has the key i * runs + r. */
async function threeRuns(t: Test) {
  const folder = await temporaryFolder(t)
  const opened: SortedRun[] = []
  for (let run = 0; run < runs; run += 1) {
    const from = run * perRun
    const head = { entries: perRun, keys: perRun, from, end: from + perRun }
    const writer = await createRunWriter(nodeFiles, folder, `${run}.run`, head)
    for (let i = 0; i < perRun; i += 1) {
      const words = Uint32Array.of(0, 0, 0, i * runs + run, run, from + i, 0)
      if (writer.add(words, 0)) await writer.flush()
    }
    await writer.finish()
    opened.push(await openRun(nodeFiles, folder, `${run}.run`, pageCache))
  }
  t.teardown(async () => {
    for (const run of opened) await run.close()
  })
  const all = runs * perRun
  const plan = { folder, name: 'all.run', head: { entries: all, keys: all, from: 0, end: all } }
  return { folder, opened, plan }
}

t.test('a thread merges runs into one that holds every entry in its order', async (t) => {
  const { folder, opened, plan } = await threeRuns(t)
  t.equal(await merge(nodeFiles, plan, opened, () => false), true)

  const merged = await openRun(nodeFiles, folder, plan.name, pageCache)
  let next = 0
  for (const page of await merged.readPages(0, merged.pages)) {
    for (let at = 0; at < 146 * entryWords && next < runs * perRun; at += entryWords) {
      if (page[at + 3] !== next || page[at + 4] !== next % runs) t.fail(`entry ${next} is another`)
      next += 1
    }
  }
  t.equal(next, runs * perRun)
  t.strictSame(await merged.floor(Uint32Array.of(0, 0, 0, 100_001), 9), {
    number: 100_001 % runs,
    position: (100_001 % runs) * perRun + Math.floor(100_001 / runs),
  })
  await merged.close()
})

t.test('a merge that is over early leaves nothing', async (t) => {
  const { folder, opened, plan } = await threeRuns(t)
  let asked = 0
  t.equal(await merge(nodeFiles, plan, opened, () => (asked += 1) > 5), false)
  t.notOk((await nodeFiles.list(folder)).includes(plan.name))
})

t.test('what fails at the files is the error of the merge, and nothing is left', async (t) => {
  const { folder, opened, plan } = await threeRuns(t)
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' })
  const files: FilePort = {
    ...nodeFiles,
    async open(path, mode) {
      const file = await nodeFiles.open(path, mode)
      return { ...file, write: () => Promise.reject(full) }
    },
  }
  await t.rejects(
    merge(files, plan, opened, () => false),
    full,
  )
  t.notOk((await nodeFiles.list(folder)).includes(plan.name))

  const lost = opened.map((run) => ({
    ...run,
    readPages: () => Promise.reject(new Error(`${join(folder, run.name)} is damaged`)),
  }))
  await t.rejects(
    merge(nodeFiles, plan, lost, () => false),
    /is damaged/,
  )
  t.notOk((await nodeFiles.list(folder)).includes(plan.name))
})
