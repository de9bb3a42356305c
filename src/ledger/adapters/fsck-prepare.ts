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
import type { IndexFinding, Pace, Tell } from '../fsck-report.js'
import { createEntrySums, drawSeeds, type EntrySums } from './fsck-sums.js'
import type { Words } from './index-page.js'
import type { IndexOnDisk } from './index-store.js'

/** Leaves behind the index whose ids, streams and types are remembered; with more, an index of its own is made. */
export const tailEventsMax = 524_288

/** What reading the runs of an index once has found: it holds for that index as long as the ledger lives. */
export interface ScannedRuns {
  readonly seeds: Words
  readonly sums: EntrySums
  readonly repeated: Repeated
  readonly through: number
}

/** What the leaves are compared with: the index on disk, and what follows from the leaf before. */
export interface Prepared {
  readonly index: IndexOnDisk | undefined
  readonly comparison: IndexComparison | undefined
  readonly chain: LeafChain
  readonly through: number
  readonly scanned: ScannedRuns | undefined
  /** What the index came to, once everything was compared. */
  finding(): IndexFinding
  close(): Promise<void>
}

export interface PrepareOptions {
  readonly files: FilePort
  readonly folder: string
  readonly origin: string
  /** The first position that will be read, which may depend on the index. */
  readonly from: (index: IndexOnDisk | undefined) => Promise<number>
  /** How many leaves there are at least. */
  readonly size: number
  /** What an earlier check that is gone on with had compared. */
  readonly before?: ComparisonState | undefined
  /** What an earlier reading of the runs had found; without it they are read. */
  readonly scanned?: ScannedRuns | undefined
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
  const { size, fileOf, tell, pace } = options
  const scanned = index ? (options.scanned ?? (await scan(options, index))) : undefined
  const isSound = index === undefined || scanned !== undefined
  const usable = index && isSound ? index : undefined
  const through = usable?.manifest.through ?? 0
  const from = await options.from(usable)
  const { before } = options
  const comparison =
    usable &&
    scanned &&
    createIndexComparison({
      ...scanned,
      index: usable,
      summedThrough: scanned.through,
      from,
      before,
      tell,
      pace,
    })
  const { chain, close } = await chainOf(options, size - through <= options.tailMax, () =>
    createLeafChain(usable && scanned && chainIndexOver(usable, scanned.repeated, fileOf)),
  )
  const state = () => {
    if (index === undefined) return 'absent'
    return comparison?.agrees === true ? 'sound' : 'unsound'
  }
  return {
    index: usable,
    comparison,
    chain,
    through,
    scanned,
    finding: () => ({ state: state(), through: index?.manifest.through ?? 0 }),
    async close() {
      await close()
      await index?.close()
    },
  }
}

/** Reads the runs; undefined when they are unsound, which is told. */
async function scan(
  { before, onRuns, tell, pace }: PrepareOptions,
  index: IndexOnDisk,
): Promise<ScannedRuns | undefined> {
  const seeds = before === undefined ? drawSeeds() : Uint32Array.from(before.seeds)
  const sums = createEntrySums(seeds)
  const repeated: Repeated = new Map()
  onRuns?.(runBytesOf(index))
  const isSound = await scanRuns(index, sums, repeated, tell, pace)
  return isSound ? { seeds, sums, repeated, through: index.manifest.through } : undefined
}

/** The chain that fits: what the index does not hold is remembered while it is little. */
async function chainOf(
  { without, origin }: PrepareOptions,
  isTailShort: boolean,
  remembering: () => LeafChain,
): Promise<{ readonly chain: LeafChain; readonly close: () => Promise<void> }> {
  const nothing = async () => undefined
  if (isTailShort) return { chain: remembering(), close: nothing }
  if (without === 'no-chain') return { chain: noChain, close: nothing }
  const own = await createOwnIndexChain(origin)
  return { chain: own, close: () => own.close() }
}
