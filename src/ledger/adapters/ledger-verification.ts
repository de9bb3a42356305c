import type { DamagedPlace, LedgerVerification, VerifiedRange } from '../verification.js'
import type { FilePort } from './file-port.js'
import { openCheckpointCursor } from './fsck-checkpoints.js'
import { createFold, type Fold, foldStart, type FoldStart } from './fsck-fold.js'
import { tellIndexDamage } from './fsck-index.js'
import { prepare, type Prepared, type ScannedRuns, tailEventsMax } from './fsck-prepare.js'
import { gatherProblems, type Pace, type Tell } from '../fsck-report.js'
import { openSegmentFiles, type SegmentFiles } from './fsck-segments.js'
import { checkSegment } from './fsck-walk.js'
import type { IndexOnDisk } from './index-store.js'
import {
  decodeGroupFrame,
  decodeSegmentHeader,
  groupFrameBytes,
  isFlaw,
  segmentHeaderBytes,
} from './journal-format.js'
import { checkpointsFile } from './kept-checkpoints.js'
import { type LedgerIdentity, readIdentity } from './ledger-folder.js'
import { createTreeHashes, type LevelEdge } from './tree-hashes.js'
import { witnessedFile } from './witnessed-checkpoints.js'

const tileWidth = 256
const hashBytes = 32
const damageMax = 100

type Range = Parameters<LedgerVerification['verify']>[0]

/** Where reading begins: a position at the beginning of a group, and where that group stands. */
interface Start {
  readonly fold: FoldStart
  readonly segment: number
  readonly offset: number
}

/**
 * Verifies a ledger that this process writes. Everything is read through handles of its own, so damage
 * that it meets disturbs nobody; `files` must be those of the engine, in which a payload that is being
 * overwritten is seen whole. Of the last leaves, which the index on disk lacks, the index is not compared.
 */
export function createLedgerVerification(ledger: {
  readonly files: FilePort
  readonly folder: string
}): LedgerVerification {
  const { files, folder } = ledger
  // The runs are read once in each pass; what is written meanwhile is looked up entry by entry.
  let scanned: ScannedRuns | undefined
  return {
    async verify(range, pace) {
      const identity = await readIdentity(files, folder)
      if (identity === undefined) throw new Error('the ledger has no identity')
      if (range.from === 0) scanned = undefined
      const told = gatherProblems()
      const segments = await openSegmentFiles(files, folder)
      try {
        const checked = await checkRange(
          { files, folder, identity, range, tell: told.tell, pace, segments },
          scanned,
        )
        scanned = checked.scanned
        const damage = told.problems.slice(0, damageMax).map(damagedPlace)
        return { ...checked.verified, damage, damageCount: told.count }
      } finally {
        await segments.close()
      }
    },
  }
}

const damagedPlace = ({
  segment,
  ...place
}: {
  readonly segment: string
  readonly offset: number
  readonly position: number | null
  readonly flaw: string
}): DamagedPlace => ({
  file: segment.endsWith('.journal') ? `journal/${segment}` : segment,
  ...place,
})

interface RangeCheck {
  readonly files: FilePort
  readonly folder: string
  readonly identity: LedgerIdentity
  readonly range: Range
  readonly tell: Tell
  readonly pace: Pace
  readonly segments: SegmentFiles
}

async function checkRange(
  check: RangeCheck,
  scanned: ScannedRuns | undefined,
): Promise<{
  readonly verified: Omit<VerifiedRange, 'damage' | 'damageCount'>
  readonly scanned: ScannedRuns | undefined
}> {
  const { files, folder, identity, range, tell, pace, segments } = check
  let start: Start = { fold: foldStart, segment: 0, offset: segmentHeaderBytes }
  const prepared = await prepare({
    files,
    folder,
    origin: identity.origin,
    size: range.to,
    scanned,
    without: 'no-chain',
    tailMax: tailEventsMax,
    async from(index) {
      start = (index && (await startAt(check, index))) ?? start
      return start.fold.position
    },
    fileOf: (name) => segments.fileOf(name),
    tell,
    pace,
  })
  const after = start.fold.position
  const cursor = { files, folder, identity, after, seek: true, tell }
  const kept = await openCheckpointCursor({ ...cursor, name: checkpointsFile })
  const witnessed = await openCheckpointCursor({ ...cursor, name: witnessedFile })
  try {
    const fold = createFold({
      ...prepared,
      kept,
      witnessed,
      seals: undefined,
      erasures: undefined,
      takesRaw: identity.interoperability === true,
      isPart: true,
      tell,
      begin: start.fold,
    })
    await fold.begin()
    await walk(check, prepared, start, fold)
    await fold.end(segments.names.at(-1) ?? 'journal')
    return {
      verified: {
        from: after,
        size: fold.next(),
        root: fold.isWhole() ? fold.root() : undefined,
        indexThrough: Math.min(prepared.through, fold.next()),
      },
      scanned: prepared.scanned,
    }
  } finally {
    await witnessed.close()
    await kept.close()
    await prepared.close()
  }
}

async function walk(check: RangeCheck, prepared: Prepared, start: Start, fold: Fold) {
  const { identity, range, tell, pace, segments } = check
  const numbers = new Map(prepared.index?.manifest.segments.map(({ name }, i) => [name, i]))
  const seen = segments.seenBefore(start.segment)
  for (const [number, name] of segments.names.entries()) {
    if (number < start.segment) continue
    if (fold.next() >= range.to) return
    await checkSegment(
      {
        origin: identity.origin,
        fold,
        tell,
        pace,
        numberOf: (one, place) => numbers.get(one) ?? place,
        limit: range.to,
        onGroup: () => undefined,
      },
      {
        file: await segments.open(number),
        name,
        number,
        isLast: false,
        from: number === start.segment ? start.offset : segmentHeaderBytes,
      },
      seen,
    )
  }
  if (fold.next() < range.to)
    tell(
      segments.names.at(-1) ?? 'journal',
      0,
      fold.next(),
      `the journal ends after ${fold.next()} leaves, a published checkpoint covers ${range.to}`,
    )
}

/** Where to go on at or below `range.from`; undefined when it must begin anew. */
async function startAt(check: RangeCheck, index: IndexOnDisk): Promise<Start | undefined> {
  const { manifest } = index
  const { range, segments, tell } = check
  const position = Math.min(range.from, manifest.through)
  if (position === 0) return undefined
  const fold = async (): Promise<FoldStart> => ({
    ...foldStart,
    position,
    edges: await edgesAt(index, position),
    clockAlarm: undefined,
  })
  try {
    if (position === manifest.through) {
      const last = manifest.segments.at(-1)
      const segment = segments.names.indexOf(last?.name ?? '')
      if (last === undefined || segment === -1) return undefined
      return { fold: await fold(), segment, offset: last.bytes }
    }
    const [place] = await index.places.read([position])
    const name = manifest.segments[place?.segment ?? -1]?.name ?? ''
    const segment = segments.names.indexOf(name)
    if (place === undefined || segment === -1) return undefined
    const offset = place.offset - groupFrameBytes
    if (!(await isGroupAt(segments, segment, offset, position))) return undefined
    const begun = await fold()
    // The leaves below are believed because of this root alone: what else the tiles say is not gone on from.
    const root = createTreeHashes(undefined, begun.edges).root()
    const isKnown = range.root !== undefined && Buffer.from(range.root).equals(root)
    return isKnown ? { fold: begun, segment, offset } : undefined
  } catch (error) {
    tellIndexDamage(tell, error)
    return undefined
  }
}

async function isGroupAt(
  segments: SegmentFiles,
  segment: number,
  offset: number,
  position: number,
): Promise<boolean> {
  const file = await segments.open(segment)
  const head = Buffer.alloc(segmentHeaderBytes)
  const header = decodeSegmentHeader(head.subarray(0, await file.read(head, 0)))
  if (isFlaw(header) || offset < segmentHeaderBytes) return false
  const bytes = Buffer.alloc(groupFrameBytes)
  const frame = decodeGroupFrame(
    bytes.subarray(0, await file.read(bytes, offset)),
    header.nonce,
    offset,
  )
  return !isFlaw(frame) && frame.firstPosition === position
}

/** The right edge of each level at a size up to that of the index. @throws EvidenceError INDEX_DAMAGED. */
async function edgesAt({ edges, tiles }: IndexOnDisk, size: number): Promise<readonly LevelEdge[]> {
  const found: LevelEdge[] = []
  for (let level = 0, count = size; count > 0; level += 1, count = Math.floor(count / tileWidth)) {
    const full = Math.floor(count / tileWidth)
    const bytes = (count % tileWidth) * hashBytes
    const edge = edges[level]
    const hashes =
      bytes === 0
        ? new Uint8Array()
        : edge !== undefined && full >= edge.full
          ? edge.hashes
          : await tiles.read(level, full)
    found.push({ full, hashes: hashes.slice(0, bytes) })
  }
  return found
}
