import type { Leaf } from '../../contracts/leaf.js'
import { textOf } from '../encoding.js'
import { parseLeaf } from '../leaf.js'
import { beginsLikeEvent } from '../raw-leaf.js'
import { checkDigests, type LeafChain } from './fsck-chain.js'
import type { CheckpointCursor } from './fsck-checkpoints.js'
import type { ErasureCheck } from './fsck-erasures.js'
import type { IndexComparison } from './fsck-index-compare.js'
import type { Tell } from '../fsck-report.js'
import type { SealCheck } from './fsck-seals.js'
import type { JournalMark } from './index-flush.js'
import { decodePayload, isFlaw, type LeafPart } from './journal-format.js'
import { checkpointsFile } from './kept-checkpoints.js'
import { type MarkedPlace, placeOfEvent, placeOfRaw } from './place-list.js'
import { leafHashOf } from './recovery.js'
import { createTreeHashes, type LevelEdge } from './tree-hashes.js'
import { witnessedFile } from './witnessed-checkpoints.js'

const tilesEvery = 65_536
const tileWidth = 256

/** Where a record stands: the number that the index has for its segment, and its place there. */
export interface RecordPlace {
  readonly segment: string
  readonly number: number
  readonly offset: number
  readonly bytes: number
}

/** What a check compares the leaves with; what is absent is not asked. */
export interface FoldParts {
  readonly chain: LeafChain
  readonly kept: CheckpointCursor
  readonly witnessed: CheckpointCursor
  readonly comparison: IndexComparison | undefined
  /** Positions below this one are in the index. */
  readonly through: number
  readonly seals: SealCheck | undefined
  readonly erasures: ErasureCheck | undefined
  readonly takesRaw: boolean
  /** Leaves behind the last that is read are there, or may be: they are not asked for. */
  readonly isPart: boolean
  readonly tell: Tell
  readonly begin: FoldStart
}

/** What was folded before: nothing, or the leaves below `position`. */
export interface FoldStart {
  readonly position: number
  readonly edges: readonly LevelEdge[]
  readonly events: number
  readonly raw: number
  /** Empty and undefined when they are not known. */
  readonly lastTime: string
  readonly clockAlarm: boolean | undefined
}

export const foldStart: FoldStart = {
  position: 0,
  edges: [],
  events: 0,
  raw: 0,
  lastTime: '',
  clockAlarm: false,
}

export type Fold = ReturnType<typeof createFold>

/** Follows positions, leaves and tree through all segments. */
export function createFold(parts: FoldParts) {
  const { chain, kept, witnessed, comparison, seals, erasures, tell, begin } = parts
  const tree = createTreeHashes(undefined, begin.edges)
  let next = begin.position
  let { events, raw, lastTime, clockAlarm } = begin
  let lost = false

  const compareRoots = async () => {
    for (const [cursor, file] of [
      [kept, checkpointsFile],
      [witnessed, witnessedFile],
    ] as const) {
      for (let at = cursor.next; at !== undefined && at.size <= tree.size && !lost;) {
        if (at.size === tree.size && !Buffer.from(at.root).equals(tree.root()))
          tell(
            file,
            at.offset,
            null,
            `the leaves in the journal have another root than the checkpoint of size ${at.size}`,
          )
        await cursor.advance()
        at = cursor.next
      }
    }
  }
  const compareTiles = async () => {
    const write = tree.toWrite()
    await comparison?.tiles(write)
    // Only its right edge is asked for: full tiles need not stay in memory.
    tree.written(write)
  }
  const isCheckpointNext = () => kept.next?.size === tree.size || witnessed.next?.size === tree.size

  const grow = async (leafHash: Uint8Array) => {
    next += 1
    if (lost) return
    tree.append(leafHash)
    if (tree.size % tileWidth === 0) tree.fold()
    if (tree.size % tilesEvery === 0) await compareTiles()
    if (isCheckpointNext()) await compareRoots()
  }
  const compare = async (place: MarkedPlace, position: number, leaf: Leaf | null) => {
    if (comparison === undefined) return
    comparison.add(position, place, leaf)
    if (comparison.isDue) await comparison.settle()
  }
  const unreadable = async () => {
    seals?.gap()
    await comparison?.settleAll()
  }
  const read = (text: Uint8Array, told: (flaw: string) => void): Leaf | undefined => {
    try {
      return parseLeaf(textOf(text))
    } catch (error) {
      told(error instanceof Error ? error.message : String(error))
      return undefined
    }
  }
  const noteClock = (leaf: Leaf, told: (flaw: string) => void) => {
    if (leaf.time < lastTime) told(`ledger time goes back from ${lastTime} to ${leaf.time}`)
    lastTime = leaf.time
    const isOfClock = leaf.writer === 'ledger' && leaf.actor === 'ledger'
    if (isOfClock && leaf.type.startsWith('ledger.alarm-'))
      clockAlarm = leaf.type === 'ledger.alarm-raised'
  }

  const addRaw = async (place: RecordPlace, { leaf }: LeafPart) => {
    const told = (flaw: string) => tell(place.segment, place.offset, next, flaw)
    // The tree cannot tell the two kinds apart: an event that is passed off as a raw leaf would be hidden.
    if (beginsLikeEvent(leaf)) told('a raw leaf begins like that of an event')
    if (!parts.takesRaw) told('a raw leaf stands in a ledger that takes none')
    raw += 1
    await compare(placeOfRaw(indexPlace(place)), next, null)
    await grow(leafHashOf(leaf))
  }

  const addEvent = async (place: RecordPlace, part: LeafPart, block: Buffer) => {
    const position = next
    const told = (flaw: string) => tell(place.segment, place.offset, position, flaw)
    const leafHash = leafHashOf(part.leaf)
    const leaf = read(part.leaf, told)
    events += 1
    const payload = decodePayload(block)
    if (isFlaw(payload)) tell(place.segment, place.offset + part.payloadAt, position, payload.flaw)
    // A leaf that cannot be read is missing from the map and from what is compared.
    if (leaf === undefined) await unreadable()
    else {
      noteClock(leaf, told)
      const checking = chain.check({ position, leaf, leafHash }, told)
      if (checking !== undefined) await checking
      const data = isFlaw(payload) ? null : payload.data
      seals?.add({ leaf, leafHash, position, data }, place)
      if (!isFlaw(payload)) {
        checkDigests(leaf, payload, told)
        erasures?.add(leaf, payload, position, place)
      }
      await compare(placeOfEvent(indexPlace(place), leaf), position, leaf)
    }
    await grow(leafHash)
  }

  return {
    events: () => events,
    raw: () => raw,
    next: () => next,
    begin: compareRoots,
    /** Whether a kept checkpoint says that there were more leaves than were seen. */
    isCovered: () => kept.lastSize > next,
    /** Leaves up to `position` cannot be read. */
    async skipTo(position: number) {
      if (position === next) return
      next = position
      lost = true
      chain.gap()
      await unreadable()
    },
    /** Takes the next record; its payload block is `block`, and `part.payloadAt` counts from the record. */
    add: (place: RecordPlace, part: LeafPart, block: Buffer) =>
      part.raw ? addRaw(place, part) : addEvent(place, part, block),
    /** A group ended; `mark` says what an index that ends here says of the journal. */
    async endGroup(mark: () => Pick<JournalMark, 'segments' | 'group'>) {
      const waiting = chain.endGroup()
      if (waiting !== undefined) await waiting
      await seals?.compare(({ segment, offset }, position, flaw) =>
        tell(segment, offset, position, flaw),
      )
      if (comparison === undefined || lost || next !== parts.through) return
      await compareTiles()
      const isTimeKnown = lastTime !== '' || begin.position === 0
      // The time of a group of raw leaves stands in no leaf.
      const last_time_ms =
        raw > 0 || !isTimeKnown ? undefined : lastTime === '' ? 0 : Date.parse(lastTime)
      comparison.manifest(
        { ...mark(), last_time_ms, clock_alarm: clockAlarm },
        tree.toWrite().edges,
      )
    },
    /** What must be known to go on from here; the tiles up to here are compared. */
    async state(): Promise<FoldStart> {
      await compareTiles()
      return { position: next, edges: tree.toWrite().edges, events, raw, lastTime, clockAlarm }
    },
    isWhole: () => !lost,
    root: () => tree.root(),
    async end(segment: string) {
      await comparison?.settleAll()
      if (!lost) await compareTiles()
      erasures?.end((place, position, flaw) => tell(place.segment, place.offset, position, flaw))
      for (const [cursor, file] of [
        [kept, checkpointsFile],
        [witnessed, witnessedFile],
      ] as const) {
        const open = cursor.next
        if (open === undefined || (parts.isPart && !lost)) continue
        if (lost)
          tell(
            file,
            open.offset,
            null,
            `leaves are missing: checkpoints from size ${open.size} on cannot be compared`,
          )
        else if (file === checkpointsFile)
          tell(
            segment,
            0,
            next,
            `the journal ends after ${next} leaves, a kept checkpoint covers ${cursor.lastSize}`,
          )
        else tell(file, open.offset, null, `it covers ${open.size} leaves, the journal has ${next}`)
        while (cursor.next !== undefined && !parts.isPart) await cursor.advance()
      }
    },
  }
}

const indexPlace = ({ number, offset, bytes }: RecordPlace) => ({ segment: number, offset, bytes })
