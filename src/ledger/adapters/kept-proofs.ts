import { EvidenceError } from '../../contracts/errors.js'
import type { ProofSource, PublishedCheckpoint } from '../event-store.js'
import type { KeptCheckpoint, KeptCheckpoints } from './kept-checkpoints.js'
import type { TreeHashes } from './tree-hashes.js'

const coveringTimeoutMs = 5_000

export const publishedOf = ({ origin, size, root, note }: KeptCheckpoint): PublishedCheckpoint => ({
  origin,
  size,
  root,
  note,
})

/** The proving half of the ledger over its tree and its kept checkpoints. */
export function proofsOf(
  origin: string,
  tree: TreeHashes,
  kept: KeptCheckpoints,
  published: {
    latest(): PublishedCheckpoint
    waitBeyond(position: number, timeoutMs: number): Promise<void>
  },
): Omit<ProofSource, 'vkey' | 'keys'> {
  return {
    origin,
    checkpoint: () => published.latest(),
    async checkpointCovering(position, timeoutMs = coveringTimeoutMs) {
      if (!Number.isSafeInteger(position) || position < 0 || position >= tree.size) {
        throw new EvidenceError(
          'TREE_RANGE',
          `there is no position ${position} on a ledger of ${tree.size}`,
        )
      }
      if ((kept.last?.size ?? 0) <= position) await published.waitBeyond(position, timeoutMs)
      const first = await kept.firstAfter(position)
      if (first === undefined) throw new RangeError('a checkpoint that was waited for is not kept')
      return publishedOf(first)
    },
    async *checkpointsAfter(size) {
      for await (const checkpoint of kept.after(size)) yield publishedOf(checkpoint)
    },
    proveInclusion: (position, size) => tree.inclusion(position, size),
    proveBatch: (positions, size) => tree.batch(positions, size),
    proveConsistency: (from, to) => tree.consistency(from, to),
  }
}
