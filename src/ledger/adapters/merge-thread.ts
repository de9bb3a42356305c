import { Worker } from 'node:worker_threads'
import type { FilePort, LedgerFile } from './file-port.js'
import type { MergeAnswer, MergeCall, MergeTask } from './merge-calls.js'
import { type MergedRun, mergeInto, type MergePlan } from './run-merge.js'

/** Smaller merges are done where they are: a thread would take longer to begin. */
const threadEntriesMin = 131_072

/**
 * Merges runs into a new one; a large merge in a thread of its own, so that appends do not wait for it.
 * Files are read and written here, by the same port as everything else.
 *
 * @throws what the port or a damaged run throws. Answers false when `isOver` ended it early.
 */
export function merge(
  files: FilePort,
  plan: MergePlan,
  runs: readonly MergedRun[],
  isOver: () => boolean,
): Promise<boolean> {
  return plan.head.entries < threadEntriesMin
    ? mergeInto(files, plan, runs, isOver)
    : mergeInThread(files, plan, runs, isOver)
}

async function mergeInThread(
  files: FilePort,
  plan: MergePlan,
  runs: readonly MergedRun[],
  isOver: () => boolean,
): Promise<boolean> {
  let file: LedgerFile | undefined
  const open = () => {
    if (file === undefined) throw new RangeError('the merge opened no file')
    return file
  }
  const carryOut = async (call: MergeCall): Promise<readonly Uint32Array[] | undefined> => {
    if (call.call === 'readPages') return runs[call.run]?.readPages(call.first, call.count)
    if (call.call === 'create') file = await files.open(call.path, 'create')
    else if (call.call === 'remove') await files.remove(call.path)
    else if (call.call === 'write') await open().write(call.bytes, call.offset)
    else if (call.call === 'sync') await open().sync()
    else if (call.call === 'close') await open().close()
    return undefined
  }

  const task: MergeTask = { plan, pages: runs.map(({ pages }) => pages) }
  const worker = new Worker(new URL('./merge-worker.js', import.meta.url), { workerData: task })
  let failure: unknown
  let whole: boolean | undefined
  worker.on('message', (call: MergeCall) => {
    if (call.call === 'ended') {
      whole = call.whole
      return
    }
    const answer = (given: MergeAnswer) => {
      const memory = given.pages?.[0]?.buffer
      worker.postMessage(given, memory instanceof ArrayBuffer ? [memory] : [])
    }
    carryOut(call).then(
      (pages) => answer({ failed: false, isOver: isOver(), ...(pages && { pages }) }),
      (error: unknown) => {
        // The first failure is the cause; what fails while it is cleared away adds nothing.
        failure ??= error
        answer({ failed: true, isOver: true })
      },
    )
  })
  await new Promise<void>((resolve) => {
    worker.on('error', (error) => (failure ??= error))
    worker.on('exit', () => resolve())
  })
  if (whole !== undefined && failure === undefined) return whole
  if (failure instanceof Error) throw failure
  throw new Error('the thread of a merge ended before its merge', { cause: failure })
}
