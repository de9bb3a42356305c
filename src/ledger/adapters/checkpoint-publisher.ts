import { setTimeout as wait } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import { formatCheckpoint } from '../checkpoint.js'
import type { PublishedCheckpoint } from '../event-store.js'
import { nodeCrypto } from '../node-crypto.js'
import { signNote } from '../note.js'
import { isUndoneDiskFull } from './file-port.js'
import type { KeptCheckpoints } from './kept-checkpoints.js'
import type { LedgerKeys } from './ledger-keys.js'
import type { TreeHashes } from './tree-hashes.js'

/** The first append after a pause is covered at once; under load a checkpoint follows at this pace. */
export const checkpointIntervalMs = 50
/** How long after a full disk the next checkpoint is tried. */
const diskFullRetryMs = 1_000
const checkpointBytesMax = 65_536

/** Signs the tree after commits. What it shows is durable: first the leaves, then the checkpoint. */
export interface CheckpointPublisher {
  latest(): PublishedCheckpoint
  /** Tells that the durable tree has grown. */
  notify(): void
  /** Publishes now what is not yet covered; used on open and close. */
  flush(): Promise<void>
  /**
   * The waiting key takes over with a checkpoint that both sign; nothing is published beside. What fails
   * here leaves the ledger read-only: the next start finishes the change.
   */
  changeKey(): Promise<void>
  /** Publishes nothing any more; resolves when what was under way is done. */
  end(): Promise<void>
  /** Waits for a checkpoint with more than `size` leaves. @throws EvidenceError LEDGER_BUSY, LEDGER_READ_ONLY. */
  waitBeyond(size: number, timeoutMs: number): Promise<void>
}

interface Waiter {
  readonly size: number
  readonly resolve: () => void
  readonly reject: (error: EvidenceError) => void
}

export function createCheckpointPublisher(options: {
  readonly origin: string
  readonly tree: TreeHashes
  readonly kept: KeptCheckpoints
  readonly keys: LedgerKeys
  readonly latest: PublishedCheckpoint | undefined
  readonly intervalMs: number
  /** Gives up some of the disk reserve; false when there is none. */
  readonly makeRoom: (bytes: number) => Promise<boolean>
  readonly onFailure: (reason: EvidenceError) => void
}): CheckpointPublisher {
  const { origin, tree, kept, keys, intervalMs } = options
  let latest = options.latest
  let failure: EvidenceError | null = null
  let running: Promise<void> | null = null
  let ended = false
  const waiters = new Set<Waiter>()

  const publish = async () => {
    const size = tree.size
    if (latest?.size === size) return
    await show(size, tree.root(), keys.signer)
  }

  const show = async (size: number, root: Uint8Array, signers: Parameters<typeof signNote>[1]) => {
    const text = formatCheckpoint({ origin, size, root })
    const checkpoint = {
      origin,
      size,
      root,
      note: await signNote(text, signers, nodeCrypto.sha256),
    }
    // If we stop before it is kept, nobody saw it and the next start signs the same or a larger tree.
    await kept.append(checkpoint)
    latest = checkpoint
    for (const waiter of waiters) if (size > waiter.size) waiter.resolve()
  }

  const change = async () => {
    const { signer, next } = keys
    if (next === undefined)
      throw new EvidenceError('KEY_FILE_INVALID', 'no key waits to follow the present one')
    if (latest === undefined || !keys.hasSigned(latest.note)) {
      const [size, root] = [tree.size, tree.root()]
      await keys.name(size)
      await show(size, root, [signer, next])
    }
    await keys.takeOver()
  }

  /** What is on the ledger is worth its checkpoint: on a full disk it comes out of the reserve. */
  const publishInRoom = async () => {
    for (;;) {
      try {
        await publish()
        return
      } catch (error) {
        if (!isUndoneDiskFull(error) || !(await options.makeRoom(checkpointBytesMax))) throw error
      }
    }
  }

  const fail = (cause: unknown) => {
    failure = new EvidenceError(
      'LEDGER_READ_ONLY',
      'a checkpoint could not be signed and kept: the ledger takes no more events until it is started again',
      { cause },
    )
    options.onFailure(failure)
    for (const waiter of waiters) waiter.reject(failure)
  }

  const run = async () => {
    try {
      while (failure === null && !ended && latest?.size !== tree.size) {
        await publishInRoom()
        await wait(intervalMs)
      }
    } catch (error) {
      // A full disk ends nothing: the checkpoint comes when there is space again.
      if (isUndoneDiskFull(error)) setTimeout(notify, diskFullRetryMs).unref()
      else fail(error)
    }
    running = null
  }

  const throwFailure = () => {
    if (failure !== null) throw failure
  }

  const notify = () => {
    // With nothing to publish `run` would be over before it is noted as running.
    if (failure === null && !ended && latest?.size !== tree.size) running ??= run()
  }

  return {
    latest() {
      if (latest === undefined) throw new RangeError('no checkpoint was published yet')
      return latest
    },
    notify,
    async flush() {
      await running
      if (failure !== null) throw failure
      await publishInRoom().catch((cause: unknown) => {
        if (!isUndoneDiskFull(cause)) throw cause
        throw new EvidenceError(
          'DISK_FULL',
          'the disk is full: the last events have no checkpoint yet',
          { cause },
        )
      })
    },
    async changeKey() {
      while (running !== null) await running
      throwFailure()
      if (keys.next === undefined) return change()
      running = change()
        .catch(fail)
        .finally(() => {
          running = null
        })
      await running
      throwFailure()
      notify()
    },
    async end() {
      ended = true
      await running
      const reason = new EvidenceError('SERVICE_NOT_RUNNING', 'the ledger is closed')
      for (const waiter of waiters) waiter.reject(reason)
    },
    async waitBeyond(size, timeoutMs) {
      if (latest !== undefined && latest.size > size) return
      if (failure !== null) throw failure
      const timer = new AbortController()
      let forget = () => {}
      try {
        await new Promise<void>((resolve, reject) => {
          const waiter = { size, resolve, reject }
          waiters.add(waiter)
          forget = () => void waiters.delete(waiter)
          void wait(timeoutMs, undefined, { signal: timer.signal }).then(
            () => {
              reject(
                new EvidenceError(
                  'LEDGER_BUSY',
                  `no checkpoint covered position ${size} within ${timeoutMs} ms`,
                ),
              )
            },
            // Aborted below: the checkpoint came.
            () => undefined,
          )
        })
      } finally {
        timer.abort()
        forget()
      }
    },
  }
}
