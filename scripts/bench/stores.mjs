// Stores as the bench sees them: a process for each, told what to do.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PeerMissing } from './peers.mjs'

/** A start over millions of events may read them all. */
const taskMsMax = 900_000

/** Starts a store in a folder of its own. @throws PeerMissing when it cannot be had here. */
export async function startStore(name, folder, options = {}) {
  const child = fork(join(import.meta.dirname, 'store-process.mjs'), [name, folder], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  })
  const gone = once(child, 'exit').then(([code]) => ({ error: `${name} ended with ${code}` }))
  const ask = async (task, taskOptions) => {
    const answered = once(child, 'message', { signal: AbortSignal.timeout(taskMsMax) })
    child.send({ task, options: taskOptions })
    const [answer] = await Promise.race([answered, gone.then((ended) => [ended])])
    if (answer.missing) throw new PeerMissing(answer.missing)
    if (answer.error !== undefined) throw new Error(`${name}: ${answer.error}`)
    return answer.answer
  }
  const close = async () => {
    try {
      if (child.connected) await ask('close')
    } finally {
      if (child.connected) child.disconnect()
      await gone
    }
  }
  /** What a crash is: no chance to write anything more. */
  const kill = async () => {
    child.kill('SIGKILL')
    await gone
  }
  try {
    return { name, folder, kill, ...(await ask('open', options)), ask, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Closes all of them, whatever one of them does; then says what one of them did. */
export async function closeStores(stores) {
  const closed = await Promise.allSettled(stores.map((store) => store.close()))
  const failed = closed.find(({ status }) => status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
