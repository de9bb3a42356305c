import type { FilePort, LedgerFile } from './file-port.js'
import { createLeafChain, type LeafChain, noChain } from './fsck-chain.js'
import { chainIndexOver } from './fsck-chain-index.js'
import { openIndexToCheck, type Repeated, runBytesOf, scanRuns } from './fsck-index.js'
import {
  type ComparisonState,
  createIndexComparison,
  type IndexComparison,
} from './fsck-index-compare.js'
import { createOwnIndexChain } from './fsck-own-index.js'
import type { IndexFinding, Pace, Tell } from './fsck-report.js'
import { createEntrySums, drawSeeds } from './fsck-sums.js'
import type { IndexOnDisk } from './index-store.js'

/** Leaves behind the index whose ids, streams and types are remembered; with more, an index of its own is made. */
export const tailEventsMax = 524_288

/** What the leaves are compared with: the index on disk, and what follows from the leaf before. */
export interface Prepared {
  readonly index: IndexOnDisk | undefined
  readonly comparison: IndexComparison | undefined
  readonly chain: LeafChain
  readonly through: number
  /** What the index came to, once everything was compared. */
  finding(): IndexFinding
  close(): Promise<void>
}

export interface PrepareOptions {
  readonly files: FilePort
  readonly folder: string
  readonly origin: string
  /** The first position that will be read, and how many leaves there are at least. */
  readonly from: number
  readonly size: number
  /** What an earlier check that is gone on with had compared. */
  readonly before?: ComparisonState | undefined
  /** What is done about the chain when no index can be asked: make one, or leave the chain out. */
  readonly without: 'own-index' | 'no-chain'
  readonly tailMax: number
  readonly fileOf: (segment: string) => Promise<LedgerFile | undefined>
  readonly tell: Tell
  readonly pace: Pace
  /** Told how many bytes the runs have, before they are read. */
  readonly onRuns?: (bytes: number) => void
}

/** Opens the index, reads its runs once, and chooses how the chain is followed. */
export async function prepare(options: PrepareOptions): Promise<Prepared> {
  const { files, folder, origin, tell } = options
  const index = await openIndexToCheck(files, folder, origin, tell)
  try {
    return await prepareWith(options, index)
  } catch (error) {
    await index?.close()
    throw error
  }
}

async function prepareWith(
  options: PrepareOptions,
  index: IndexOnDisk | null | undefined,
): Promise<Prepared> {
  const { from, size, fileOf, tell, pace } = options
  const through = index?.manifest.through ?? 0
  const { before } = options
  const seeds = before === undefined ? drawSeeds() : Uint32Array.from(before.seeds)
  const sums = createEntrySums(seeds)
  const repeated: Repeated = new Map()
  if (index) options.onRuns?.(runBytesOf(index))
  const isSound = index ? await scanRuns(index, sums, repeated, tell, pace) : index === undefined
  const usable = index && isSound ? index : undefined
  const comparison =
    usable && createIndexComparison({ index: usable, sums, seeds, from, before, tell, pace })
  const own =
    options.without === 'own-index' && size - (usable ? through : 0) > options.tailMax
      ? await createOwnIndexChain(options.origin)
      : undefined
  const canRemember = size - (usable ? through : 0) <= options.tailMax && isSound
  const chain =
    own ??
    (options.without === 'no-chain' && !canRemember
      ? noChain
      : createLeafChain(usable && chainIndexOver(usable, repeated, fileOf)))
  const state = () => {
    if (index === undefined) return 'absent'
    return isSound && comparison?.agrees === true ? 'sound' : 'unsound'
  }
  return {
    index: usable,
    comparison,
    chain,
    through: usable ? through : 0,
    finding: () => ({ state: state(), through }),
    async close() {
      await own?.close()
      await index?.close()
    },
  }
}
