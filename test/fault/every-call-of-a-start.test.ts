import t from 'tap'
import { createDisk, type Loss } from '../support/disk.js'
import { everyCall } from '../support/every-call.js'
import { appendingStory, eventsOf, live, nothingTold } from '../support/fault-story.js'
import { type Fault, startProcess } from '../support/faults.js'
import { temporaryFolder } from '../support/ledger.js'

interface Stop {
  readonly method: string
  readonly path: RegExp
  readonly fault: Fault
  /** Absent when the machine lives on. */
  readonly loss?: Loss
}

const torn = { fault: 'killed after', loss: 'half of each unsynced write is left' } as const
const laterSegment = /\/journal\/\d*[1-9]\d*\.journal$/

/** Ends of a run that leave the next start something to settle; the last call that fits goes wrong. */
const stops: Readonly<Record<string, Stop>> = {
  'a torn ledger.json': { method: 'write', path: /ledger\.json/, ...torn },
  'a torn key': { method: 'write', path: /checkpoint\.key/, ...torn },
  'a key that signed nothing': { method: 'rename', path: /ledger\.json$/, fault: 'killed before' },
  'a segment without a header': { method: 'sync', path: laterSegment, ...torn },
  'a torn segment header': { method: 'write', path: laterSegment, ...torn },
  'a torn group': { method: 'write', path: /\.journal$/, ...torn },
  'a torn checkpoint': { method: 'write', path: /\/checkpoints$/, ...torn },
  'a group whose sync failed': { method: 'sync', path: /\.journal$/, fault: 'fails, nothing done' },
  'a checkpoint whose sync failed': {
    method: 'sync',
    path: /\/checkpoints$/,
    fault: 'fails, nothing done',
  },
}

for (const [what, { method, path, fault, loss }] of Object.entries(stops)) {
  t.test(`a start that finds ${what} survives every fault`, async (t) => {
    const folder = await temporaryFolder(t)
    const story = appendingStory(true)
    const recorded = startProcess(createDisk())
    await live(recorded.files, folder, story, nothingTold())
    const at = recorded.calls.findLastIndex(
      (call) => call.method === method && path.test(call.path),
    )
    const [disk, told] = [createDisk(), nothingTold()]
    await live(startProcess(disk, { at, fault }).files, folder, story, told)
    const found = loss === undefined ? disk : disk.afterPowerCut(loss)

    await everyCall(t, folder, { groups: [[eventsOf(1)]], waits: true }, { disk: found, told })
  })
}
