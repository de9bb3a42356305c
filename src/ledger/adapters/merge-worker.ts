import { parentPort, workerData } from 'node:worker_threads'
import type { FilePort, LedgerFile } from './file-port.js'
import type { MergeAnswer, MergeCall, MergeTask } from './merge-calls.js'
import { mergeInto } from './run-merge.js'

/** Entry of the thread that merges runs. All access to files is asked of the thread that began it. */
const { plan, pages } = workerData as MergeTask
let isOver = false
let answered: ((answer: MergeAnswer) => void) | undefined
parentPort?.on('message', (answer: MergeAnswer) => {
  isOver ||= answer.isOver
  answered?.(answer)
})

const ask = async (call: MergeCall, memory: readonly ArrayBuffer[] = []): Promise<MergeAnswer> => {
  const answer = new Promise<MergeAnswer>((resolve) => (answered = resolve))
  parentPort?.postMessage(call, memory)
  const given = await answer
  if (given.failed) throw new Error(`${call.call} failed`)
  return given
}
const notAsked = () => Promise.reject(new Error('a merge does not ask for this'))

const file: LedgerFile = {
  path: plan.name,
  async write(bytes, offset) {
    // A copy: the writer fills its memory again while this one is on its way.
    const copy = Uint8Array.from(bytes)
    await ask({ call: 'write', bytes: copy, offset }, [copy.buffer])
  },
  sync: async () => void (await ask({ call: 'sync' })),
  close: async () => void (await ask({ call: 'close' })),
  read: notAsked,
  truncate: notAsked,
  size: notAsked,
}
const files: FilePort = {
  async open(path) {
    await ask({ call: 'create', path })
    return file
  },
  remove: async (path) => void (await ask({ call: 'remove', path })),
  readWhole: notAsked,
  modeOf: notAsked,
  list: notAsked,
  createFolder: notAsked,
  rename: notAsked,
  syncFolder: notAsked,
}
const runs = pages.map((count, run) => ({
  pages: count,
  readPages: async (first: number, wanted: number) =>
    (await ask({ call: 'readPages', run, first, count: wanted })).pages ?? [],
}))

const whole = await mergeInto(files, plan, runs, () => isOver)
parentPort?.postMessage({ call: 'ended', whole } satisfies MergeCall)
parentPort?.close()
