import { Worker } from 'node:worker_threads'
import { digestGroup, type LaidGroup, memoryOf } from './group-bytes.js'

/** Fewer leaves and bytes are digested where they are: handing them over would take longer. */
const handedLeavesMin = 32
const handedBytesMin = 128 * 1024

/**
 * Digests groups beside the thread that takes appends, so that both cores of a small machine work. The
 * thread begins with the first group that is worth it.
 */
export interface DigestThread {
  /** `lay` gives the group anew when the thread is lost: what it had is gone with it. */
  digest(lay: () => LaidGroup, leaves: number): Promise<LaidGroup>
  /** How many groups the thread has done. */
  handedOver(): number
  close(): Promise<void>
}

export function createDigestThread(): DigestThread {
  let worker: Worker | undefined
  /** Set when the thread could not begin or ended: from then on all is done here. */
  let lost = false
  let handedOver = 0
  /** The thread does one group after the other. */
  let waiting: { resolve: (group: LaidGroup) => void; reject: (cause: Error) => void }[] = []

  const fail = (cause: Error) => {
    lost = true
    for (const { reject } of waiting) reject(cause)
    waiting = []
  }
  const begin = (): Worker => {
    const begun = new Worker(new URL('./digest-worker.js', import.meta.url))
    begun.on('message', (group: LaidGroup) => {
      handedOver += 1
      waiting.shift()?.resolve(group)
      // Between groups the thread must not keep the process alive.
      if (waiting.length === 0) begun.unref()
    })
    begun.on('error', fail)
    begun.on('exit', () => fail(new Error('the thread that digests groups has ended')))
    return begun
  }
  const hand = (group: LaidGroup): Promise<LaidGroup> =>
    new Promise((resolve, reject) => {
      worker ??= begin()
      worker.ref()
      waiting.push({ resolve, reject })
      worker.postMessage(group, memoryOf(group))
    })
  const here = (group: LaidGroup): LaidGroup => {
    digestGroup(group)
    return group
  }

  return {
    async digest(lay, leaves) {
      const group = lay()
      if (lost || (leaves < handedLeavesMin && group.bytes.length < handedBytesMin))
        return here(group)
      return hand(group).catch(() => here(lay()))
    },
    handedOver: () => handedOver,
    async close() {
      lost = true
      await worker?.terminate()
    },
  }
}
