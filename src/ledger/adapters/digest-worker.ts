import { parentPort } from 'node:worker_threads'
import { digestGroup, type LaidGroup, memoryOf } from './group-bytes.js'

/** Entry of the thread that digests groups; it holds no state and opens nothing. */
parentPort?.on('message', (group: LaidGroup) => {
  digestGroup(group)
  parentPort?.postMessage(group, memoryOf(group))
})
