import { join } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import { beginsLikeEvent } from '../raw-leaf.js'
import { type FilePort, type LedgerFile, nodeFiles } from './file-port.js'
import { findErasure } from './erasure-recovery.js'
import { lockFolder } from './folder-lock.js'
import { checkDigests, createLeafChain } from './fsck-chain.js'
import { type PlacedCheckpoint, readKept, type Tell } from './fsck-checkpoints.js'
import { createErasureCheck, type ErasureCheck } from './fsck-erasures.js'
import { createSealCheck, type SealCheck } from './fsck-seals.js'
import {
  decodeLeafPart,
  decodePayload,
  decodeRecordHeader,
  groupFrameBytes,
  isFlaw,
  recordHeaderBytes,
  segmentHeaderBytes,
} from './journal-format.js'
import { checkpointsFile } from './kept-checkpoints.js'
import { type LedgerIdentity, readIdentity } from './ledger-folder.js'
import { type PatchedFiles, patchedFiles } from './patched-files.js'
import { pendingErasureFile, type PendingErasure } from './pending-erasure.js'
import { findFrame, recordsOf, type ScannedGroup, scanGroups } from './segment-scan.js'
import { leafHashOf } from './recovery.js'
import { originMarkOf, readSegmentHeader, segmentNames, segmentsFolder } from './segments.js'
import { createTreeHashes } from './tree-hashes.js'

/** Problems that a report lists; further ones are counted only. */
export const problemsMax = 10_000

const forgetEvery = 65_536

export interface FsckProblem {
  /** Name of the file in the ledger folder. */
  readonly segment: string
  readonly offset: number
  readonly position: number | null
  readonly flaw: string
}

export interface FsckReport {
  readonly origin: string
  readonly events: number
  /** Leaves that are no events; only a ledger created for interoperability has any. */
  readonly raw: number
  readonly segments: number
  readonly checkpoints: number
  /** Seals whose map was made anew and compared. */
  readonly seals: number
  /** True when nothing is damaged; a torn tail of the last stop is not damage. */
  readonly sound: boolean
  readonly problems: readonly FsckProblem[]
  readonly problemCount: number
  /** An unacknowledged write that the next start cuts off. */
  readonly tornTail: { readonly segment: string; readonly offset: number } | null
  /** Id of the event whose erasure the last stop left unfinished; the next start settles it. */
  readonly unfinishedErasure: string | null
}

export interface FsckProgress {
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly events: number
}

/**
 * Checks everything in a ledger folder that no process writes: checksums, leaf form, digests made
 * anew, `prev`, revisions, `type_seq`, time, ids, the tree against every kept checkpoint and its
 * signature, and the root of every seal. Names every damaged place; damage never stops it.
 *
 * @throws EvidenceError LEDGER_LOCKED, DATA_FOLDER_INVALID.
 */
export async function fsck(
  options: { readonly folder: string; readonly files?: FilePort },
  onProgress: (progress: FsckProgress) => void = () => undefined,
): Promise<FsckReport> {
  const { folder } = options
  const patched = patchedFiles(options.files ?? nodeFiles)
  const { files } = patched
  const identity = await readIdentity(files, folder)
  if (identity === undefined)
    throw new EvidenceError('DATA_FOLDER_INVALID', `there is no ledger in ${folder}`)
  const lock = await lockFolder(folder, 'shared')
  try {
    return await createCheck(patched, folder, identity, onProgress)
  } finally {
    await lock.release()
  }
}

async function createCheck(
  patched: PatchedFiles,
  folder: string,
  identity: LedgerIdentity,
  onProgress: (progress: FsckProgress) => void,
): Promise<FsckReport> {
  const { files } = patched
  const problems: FsckProblem[] = []
  let problemCount = 0
  const tell: Tell = (segment, offset, position, flaw) => {
    problemCount += 1
    if (problems.length < problemsMax) problems.push({ segment, offset, position, flaw })
  }
  const checkpoints = await readKept(files, folder, identity, tell)
  const seals = await createSealCheck(files, identity.origin)
  const pending = await unfinishedErasure(patched, folder, tell)
  const erasures = createErasureCheck(pending)
  const fold = createFold(checkpoints, seals, erasures, identity, tell)
  const names = await segmentNames(files, folder)
  let bytesDone = 0
  let bytesTotal = 0
  const opened: LedgerFile[] = []
  let tornTail: FsckReport['tornTail'] = null
  try {
    for (const name of names) {
      const file = await files.open(join(segmentsFolder(folder), name), 'read')
      opened.push(file)
      bytesTotal += await file.size()
    }
    for (const [number, name] of names.entries()) {
      const file = opened[number]
      if (file === undefined) continue
      const progress = (offset: number) =>
        onProgress({ bytesDone: bytesDone + offset, bytesTotal, events: fold.events() })
      const tail = await checkSegment({
        file,
        name,
        identity,
        fold,
        tell,
        progress,
        isLast: number === names.length - 1,
      })
      if (tail !== null) tornTail = { segment: name, offset: tail }
      bytesDone += await file.size()
      progress(0)
    }
  } finally {
    for (const file of opened) await file.close()
    await seals.close()
  }
  fold.end(names.at(-1) ?? 'journal')
  return {
    origin: identity.origin,
    events: fold.events(),
    raw: fold.raw(),
    segments: names.length,
    checkpoints: checkpoints.length,
    seals: seals.seals,
    sound: problemCount === 0,
    problems,
    problemCount,
    tornTail,
    unfinishedErasure: pending?.event_id ?? null,
  }
}

/** The erasure that the last stop left. Blocks that it tore are read as what the next start makes of them. */
async function unfinishedErasure(
  patched: PatchedFiles,
  folder: string,
  tell: Tell,
): Promise<PendingErasure | undefined> {
  try {
    return (await findErasure(patched, folder))?.pending
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    tell(pendingErasureFile, 0, null, error.message)
    return undefined
  }
}

type Fold = ReturnType<typeof createFold>

/** Follows positions, leaves and tree through all segments. */
function createFold(
  kept: readonly PlacedCheckpoint[],
  seals: SealCheck,
  erasures: ErasureCheck,
  identity: LedgerIdentity,
  tell: Tell,
) {
  const chain = createLeafChain()
  const tree = createTreeHashes()
  let next = 0
  let events = 0
  let raw = 0
  let lost = false
  let nextKept = 0
  const compare = () => {
    for (
      let at = kept[nextKept];
      at !== undefined && at.size === tree.size && !lost;
      at = kept[nextKept]
    ) {
      nextKept += 1
      if (!Buffer.from(at.root).equals(tree.root())) {
        tell(
          checkpointsFile,
          at.offset,
          null,
          `the leaves in the journal have another root than the checkpoint of size ${at.size}`,
        )
      }
    }
  }
  const grow = (leafHash: Uint8Array) => {
    next += 1
    if (!lost) tree.append(leafHash)
    // Only its right edge is asked for: full tiles need not stay in memory.
    if (tree.size % forgetEvery === 0) tree.written(tree.toWrite())
    compare()
  }
  compare()
  return {
    events: () => events,
    raw: () => raw,
    next: () => next,
    /** Whether a kept checkpoint says that there were more leaves than were seen. */
    isCovered: () => (kept.at(-1)?.size ?? 0) > next,
    /** Leaves up to `position` cannot be read. */
    skipTo(position: number) {
      if (position === next) return
      next = position
      lost = true
      chain.gap()
      seals.gap()
    },
    add(segment: string, offset: number, leafBytes: Uint8Array) {
      const position = next
      const { leaf, leafHash } = chain.leaf(leafBytes, (flaw) =>
        tell(segment, offset, position, flaw),
      )
      events += 1
      grow(leafHash)
      // A leaf that cannot be read is missing from the map.
      if (leaf === undefined) seals.gap()
      return leaf === undefined ? undefined : { leaf, leafHash, position }
    },
    seals,
    erasures,
    addRaw(segment: string, offset: number, leafBytes: Uint8Array) {
      // The tree cannot tell the two kinds apart: an event that is passed off as a raw leaf would be hidden.
      if (beginsLikeEvent(leafBytes))
        tell(segment, offset, next, 'a raw leaf begins like that of an event')
      if (identity.interoperability !== true)
        tell(segment, offset, next, 'a raw leaf stands in a ledger that takes none')
      raw += 1
      grow(leafHashOf(leafBytes))
    },
    end(segment: string) {
      erasures.end((place, position, flaw) => tell(place.segment, place.offset, position, flaw))
      const open = kept[nextKept]
      if (open === undefined) return
      if (lost)
        tell(
          checkpointsFile,
          open.offset,
          null,
          `leaves are missing: checkpoints from size ${open.size} on cannot be compared`,
        )
      else
        tell(
          segment,
          0,
          next,
          `the journal ends after ${next} leaves, a kept checkpoint covers ${kept.at(-1)?.size ?? 0}`,
        )
    },
  }
}

interface SegmentCheck {
  readonly file: LedgerFile
  readonly name: string
  readonly identity: LedgerIdentity
  readonly fold: Fold
  readonly tell: Tell
  readonly progress: (offset: number) => void
  readonly isLast: boolean
}

/** Checks one segment; answers where a torn tail begins, or null. */
async function checkSegment({
  file,
  name,
  identity,
  fold,
  tell,
  progress,
  isLast,
}: SegmentCheck): Promise<number | null> {
  const header = await readSegmentHeader(file, name, originMarkOf(identity.origin))
  const firstPosition = Number(name.slice(0, 16))
  if (isFlaw(header)) {
    if (isLast && !fold.isCovered() && (await file.size()) <= segmentHeaderBytes) return 0
    tell(name, 0, firstPosition, `${header.flaw}: none of its groups can be read`)
    return null
  }
  if (firstPosition !== fold.next()) {
    tell(
      name,
      0,
      fold.next(),
      `the segment begins at position ${firstPosition}, ${fold.next()} is next`,
    )
    fold.skipTo(firstPosition)
  }
  for (let from: number | undefined = segmentHeaderBytes; from !== undefined;) {
    const start: number = from
    from = undefined
    for await (const group of scanGroups(file, header.nonce, start)) {
      if (!isFlaw(group)) {
        const mayBeTorn = isLast && !fold.isCovered() && isFlaw(recordsOf(group))
        if (mayBeTorn && (await findFrame(file, header.nonce, group.offset + 1)) === undefined) {
          return group.offset
        }
        checkGroup(group, name, fold, tell)
        await fold.seals.compare(({ segment, offset }, position, flaw) =>
          tell(segment, offset, position, flaw),
        )
        progress(group.offset + group.bytes.length)
        continue
      }
      from = await findFrame(file, header.nonce, group.offset + 1)
      if (from === undefined && isLast && !fold.isCovered()) return group.offset
      tell(name, group.offset, fold.next(), group.flaw)
    }
  }
  return null
}

function checkGroup(group: ScannedGroup, name: string, fold: Fold, tell: Tell) {
  const { firstPosition, recordCount } = group.frame
  if (firstPosition !== fold.next()) {
    tell(
      name,
      group.offset,
      fold.next(),
      `the group begins at position ${firstPosition}, ${fold.next()} is next`,
    )
    fold.skipTo(firstPosition)
  }
  for (let at = groupFrameBytes; at < group.bytes.length;) {
    const place = group.offset + at
    const position = fold.next()
    const part = decodeLeafPart(group.bytes, at)
    if (isFlaw(part)) {
      tell(name, place, position, part.flaw)
      const lengths = decodeRecordHeader(group.bytes, at)
      // Without its lengths nobody can tell where the next record begins.
      if (isFlaw(lengths)) break
      fold.skipTo(position + 1)
      at += recordHeaderBytes + lengths.leafBytes + lengths.payloadBytes
      continue
    }
    if (part.position !== position)
      tell(name, place, position, `the record says position ${part.position}`)
    at = part.end
    if (part.raw) {
      fold.addRaw(name, place, part.leaf)
      continue
    }
    const added = fold.add(name, place, part.leaf)
    const payload = decodePayload(group.bytes.subarray(part.payloadAt, part.end))
    if (isFlaw(payload)) tell(name, group.offset + part.payloadAt, position, payload.flaw)
    if (added !== undefined) {
      const data = isFlaw(payload) ? null : payload.data
      fold.seals.add({ ...added, data }, { segment: name, offset: place })
      if (!isFlaw(payload)) {
        checkDigests(added.leaf, payload, (flaw) => tell(name, place, position, flaw))
        fold.erasures.add(added.leaf, payload, position, { segment: name, offset: place })
      }
    }
  }
  if (fold.next() !== firstPosition + recordCount) {
    tell(name, group.offset, fold.next(), `the group should hold ${recordCount} records`)
    fold.skipTo(firstPosition + recordCount)
  }
}
