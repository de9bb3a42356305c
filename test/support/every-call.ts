import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import { type Disk, everyLoss } from './disk.js'
import { checkKept, copyOf, live, type Story, type Told } from './fault-story.js'
import { applies, type Call, everyFault, startProcess } from './faults.js'

export interface Beginning {
  readonly disk: Disk
  readonly told: Told
}

/** What may be found when the process is gone: the machine lives on, or its power was cut. */
const disksAfter = (disk: Disk): [string, Disk][] => {
  const found: [string, Disk][] = [['the machine lives on', disk]]
  for (const loss of everyLoss) found.push([loss, disk.afterPowerCut(loss)])
  return found
}

const printOf = (disk: Disk): string => {
  const digest = createHash('sha256')
  for (const [path, bytes] of disk.contents())
    digest.update(`${path} ${bytes.length}\n`).update(bytes)
  return digest.digest('hex')
}

/** Lets every call of the story go wrong in every way, and checks every disk that may be left. */
export async function everyCall(
  t: Test,
  folder: string,
  story: Story,
  beginning: Beginning,
): Promise<readonly Call[]> {
  const recorded = startProcess(beginning.disk.copy())
  await live(recorded.files, folder, story, copyOf(beginning.told))
  let cases = 0
  for (const [at, call] of recorded.calls.entries()) {
    for (const fault of everyFault) {
      if (!applies(fault, call)) continue
      const disk = beginning.disk.copy()
      const told = copyOf(beginning.told)
      const process = startProcess(disk, { at, fault })
      await live(process.files, folder, story, told)
      const checked = new Set<string>()
      for (const [left, found] of disksAfter(disk)) {
        // The disk that lives on may still lose what it shows, so it is a case of its own.
        const print = printOf(found)
        if (checked.has(print)) continue
        if (found !== disk) checked.add(print)
        cases += 1
        await checkKept(found, folder, told).catch((error: unknown) => {
          const { method, path } = process.hit ?? call
          const name = `call ${at}, ${method} ${path.slice(folder.length)}, ${fault}; ${left}`
          t.fail(name, { found: error instanceof Error ? error.stack : error })
        })
      }
    }
  }
  t.comment(`${recorded.calls.length} calls, ${cases} cases`)
  t.ok(cases > recorded.calls.length)
  return recorded.calls
}
