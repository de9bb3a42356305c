import t from 'tap'
import { createDisk } from '../support/disk.js'
import { everyCall } from '../support/every-call.js'
import { appendingStory, crowdedStory, nothingTold } from '../support/fault-story.js'
import { temporaryFolder } from '../support/ledger.js'

t.test('creation, appends, roll-over, checkpoints and closing survive every fault', async (t) => {
  const folder = await temporaryFolder(t)
  const beginning = { disk: createDisk(), told: nothingTold() }

  const calls = await everyCall(t, folder, appendingStory(true), beginning)

  const seen = new Set(calls.map(({ method }) => method))
  for (const method of ['create', 'write', 'sync', 'rename', 'remove', 'syncFolder', 'close'])
    t.ok(seen.has(method), `the story calls ${method}`)
})

t.test('appends beside the publishing of checkpoints survive every fault', async (t) => {
  const beginning = { disk: createDisk(), told: nothingTold() }
  await everyCall(t, await temporaryFolder(t), appendingStory(false), beginning)
})

t.test('groups that are made ready beside one another survive every fault', async (t) => {
  const beginning = { disk: createDisk(), told: nothingTold() }
  const calls = await everyCall(t, await temporaryFolder(t), crowdedStory(), beginning)
  const groups = calls.filter(
    ({ method, path }) => method === 'write' && path.includes('/journal/'),
  )
  t.ok(groups.length >= 4, 'the crowd is written in several groups')
})
