import { EvidenceError } from '../contracts/errors.js'
import { sealLagMax } from '../contracts/heads.js'
import type { Leaf } from '../contracts/leaf.js'
import { hexOf } from './encoding.js'
import type { SaltedBytes } from './event-store.js'
import type { HeadLeaf, HeadsMap } from './heads-map.js'
import type { Sha256 } from './merkle.js'
import { isSealLeaf, type Seal, sealOf } from './seals.js'

/** An event as a replay needs it. */
export interface ReplayedLeaf extends HeadLeaf {
  readonly leaf: Leaf
  readonly data: SaltedBytes | null
}

/**
 * Follows every event of a log in order and compares each seal with the map of the leaves it says it
 * covers. fsck and witnesses use it; anybody who has the leaves can.
 */
export interface SealReplay {
  add(event: ReplayedLeaf): void
  /** Compares the seals that were added; memory stays bounded when it is called now and then. */
  compare(tell: (position: number, flaw: string) => void): Promise<void>
  /** Leaves are missing: nothing behind them can be compared. */
  gap(): void
  /** Takes an event up to which all was compared before. */
  remember(event: Omit<ReplayedLeaf, 'data'>): void
  /** Seals that were compared. */
  readonly seals: number
  /** The last seal that was compared; undefined without one. */
  readonly previous: PreviousSeal | undefined
}

/** Beyond what a seal may leave out, leaves go into the map in lots of this many. */
const foldedAtOnce = 65_536

export interface PreviousSeal {
  readonly position: number
  readonly leafHash: string
  readonly size: number
}

/**
 * `map` stands at position 0, or where an earlier replay left it: then `before` is what that replay
 * had compared, and the leaves from the position of the map on are remembered first.
 */
export function createSealReplay(
  sha256: Sha256,
  origin: string,
  map: HeadsMap,
  before: { readonly previous: PreviousSeal | undefined; readonly seals: number } = {
    previous: undefined,
    seals: 0,
  },
): SealReplay {
  // Only what the map needs of each leaf: a seal speaks of a place some way back.
  let waiting: HeadLeaf[] = []
  let found: ReplayedLeaf[] = []
  let { previous, seals } = before
  let lost = false

  const advance = async (size: number) => {
    const end = waiting.findIndex(({ position }) => position >= size)
    const covered = end === -1 ? waiting : waiting.slice(0, end)
    waiting = end === -1 ? [] : waiting.slice(end)
    for (const leaf of covered) map.add(leaf)
    map.advance(size)
    await map.keep('enough')
  }

  const compareSeal = async (event: ReplayedLeaf): Promise<string | undefined> => {
    if (event.data === null) return 'the data of the seal cannot be read'
    const seal = sealOf(event.leaf, event.position, event.data.bytes)
    const before = previous
    previous = {
      position: event.position,
      leafHash: hexOf(event.leafHash),
      size: seal.size,
    }
    const flaw = flawOfPlace(seal, before)
    if (flaw !== undefined) return flaw
    if (seal.size < map.position)
      return `the seal covers ${seal.size} leaves, fewer than the rule allows`
    await advance(seal.size)
    const root = hexOf(await map.root())
    if (root !== seal.root)
      return `the seal names the root ${seal.root}, the heads of the first ${seal.size} leaves have ${root}`
    if (seal.streams !== map.streams)
      return `the seal names ${seal.streams} streams, the first ${seal.size} leaves have ${map.streams}`
    return undefined
  }

  const remember: SealReplay['remember'] = (event) => {
    const { project, stream, type, revision, type_seq } = event.leaf
    const leaf = { project, stream, type, revision, type_seq }
    waiting.push({ position: event.position, leafHash: Uint8Array.from(event.leafHash), leaf })
  }

  return {
    get seals() {
      return seals
    },
    get previous() {
      return previous
    },
    remember,
    add(event) {
      if (lost) return
      remember(event)
      if (isSealLeaf(sha256, origin, event.leaf)) found.push(event)
    },
    async compare(tell) {
      for (const event of found) {
        seals += 1
        const flaw = await compareSeal(event).catch((error: unknown) => {
          if (error instanceof EvidenceError) return error.message
          throw error
        })
        if (flaw !== undefined) tell(event.position, flaw)
      }
      found = []
      const last = waiting.at(-1)
      if (last !== undefined && waiting.length > sealLagMax + foldedAtOnce)
        await advance(last.position + 1 - sealLagMax)
    },
    gap() {
      lost = true
      waiting = []
      found = []
    },
  }
}

/** What is wrong with the place of a seal and the seal before it that it names. */
function flawOfPlace(seal: Seal, before: PreviousSeal | undefined): string | undefined {
  if (seal.size > seal.position)
    return `the seal at position ${seal.position} says that it covers ${seal.size} leaves`
  if (seal.position - seal.size > sealLagMax)
    return `the seal at position ${seal.position} covers only ${seal.size} leaves`
  if (before !== undefined && seal.size < before.size)
    return `the seal covers ${seal.size} leaves, the one before it ${before.size}`
  const named = seal.previous
  if (named?.position !== before?.position.toString() || named?.leaf_hash !== before?.leafHash)
    return 'the seal does not name the seal before it'
  return undefined
}
