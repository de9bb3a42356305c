import { hash } from 'node:crypto'
import { join } from 'node:path'
import type { Leaf } from '../../contracts/leaf.js'
import { leafPrefix } from '../../contracts/leaf.js'
import { beginsLikeEvent } from '../raw-leaf.js'
import type { FilePort } from './file-port.js'
import { encodeSegmentHeader, groupFrameBytes, isFlaw } from './journal-format.js'
import type { JournalIndex } from './journal-index.js'
import type { KeptCheckpoints } from './kept-checkpoints.js'
import {
  findFrame,
  type FlawAt,
  type PlacedRecord,
  recordsOf,
  type ScannedGroup,
  scanGroups,
} from './segment-scan.js'
import {
  damaged,
  originMarkOf,
  readSegmentHeader,
  type Segment,
  segmentName,
  segmentNames,
  segmentsFolder,
} from './segments.js'
import type { TreeHashes } from './tree-hashes.js'

/** What recovery cut off: the torn end of a group that was never acknowledged. */
export interface CutTail {
  readonly segment: string
  readonly offset: number
  readonly bytes: number
}

export interface Replayed {
  readonly segments: Segment[]
  /** Where the next group goes in the last segment. */
  readonly end: number
  readonly cut: CutTail | null
  /** Ledger time of the last event in milliseconds; 0 on an empty ledger. */
  readonly lastTimeMs: number
  /** Whether an alarm about the clock stands on the ledger. */
  readonly clockAlarm: boolean
}

export interface ReplayOptions {
  readonly files: FilePort
  readonly folder: string
  readonly origin: string
  readonly index: JournalIndex
  readonly tree: TreeHashes
  readonly kept: KeptCheckpoints
  /** Cut a torn tail off and make the last group durable again; false only looks. */
  readonly repair: boolean
}

const leafMark = Buffer.alloc(1)
export const leafHashOf = (leaf: Uint8Array): Buffer =>
  hash('sha256', Buffer.concat([leafMark, leaf]), 'buffer')

/** Reads a leaf whose checksum was checked: it is what `leafTextOf` wrote. */
export const trustedLeaf = (text: string): Leaf =>
  // The engine writes nothing else here, and the checksum says that these are its bytes.
  JSON.parse(text.slice(leafPrefix.length)) as Leaf

/**
 * Reads the whole journal into index and tree, and compares the tree with every kept checkpoint.
 *
 * A bad group is a torn write only when nothing proves that it was acknowledged: it is in the
 * last segment, no sound group follows it, and no kept checkpoint covers it. Everything else is
 * damage and is never cut off.
 *
 * @throws EvidenceError JOURNAL_DAMAGED with segment, offset and flaw.
 */
export async function replay(options: ReplayOptions): Promise<Replayed> {
  const { files, folder, origin, tree, kept } = options
  const names = await segmentNames(files, folder)
  const fold = createFold(options)
  const segments: Segment[] = []
  let end = 0
  let cut: CutTail | null = null
  try {
    for (const [number, name] of names.entries()) {
      const isLast = number === names.length - 1
      if (name !== segmentName(tree.size))
        throw damaged(name, 0, `a segment beginning at position ${tree.size} is missing`)
      const file = await files.open(
        join(segmentsFolder(folder), name),
        options.repair ? 'write' : 'read',
      )
      const header = await readSegmentHeader(file, name, originMarkOf(origin))
      if (isFlaw(header)) {
        const size = await file.size()
        await file.close()
        // Torn only while the file holds no more than a header: groups come after the header is durable.
        if (!isLast || size > 64 || coversMore(kept, tree.size)) throw damaged(name, 0, header.flaw)
        cut = { segment: name, offset: 0, bytes: size }
        if (options.repair) {
          await files.remove(join(segmentsFolder(folder), name))
          await files.syncFolder(segmentsFolder(folder))
        }
        break
      }
      const segment = { number, name, header, file }
      segments.push(segment)
      const read = await replaySegment(segment, fold)
      end = read.end
      if (read.flaw !== null) {
        if (!isLast) throw damaged(name, read.flaw.offset, read.flaw.flaw)
        cut = await judgeTail(segment, read.end, read.flaw, options)
      }
      if (isLast && options.repair) {
        await settleTail(segment, read.lastGroup, end)
        await files.syncFolder(segmentsFolder(folder))
      }
    }
    checkKept(kept, tree, names.at(-1) ?? 'journal', end)
  } catch (error) {
    for (const { file } of segments) await file.close()
    throw error
  }
  return { segments, end, cut, ...fold.clock() }
}

const coversMore = (kept: KeptCheckpoints, size: number): boolean =>
  kept.firstAfter(size) < kept.count

/** A tree that ends below a kept checkpoint has lost leaves. */
function checkKept(kept: KeptCheckpoints, tree: TreeHashes, segment: string, end: number) {
  if (coversMore(kept, tree.size)) {
    const size = kept.sizeAt(kept.count - 1)
    throw damaged(
      segment,
      end,
      `the journal ends after ${tree.size} events, a kept checkpoint covers ${size}`,
    )
  }
}

function createFold({ index, tree, kept }: ReplayOptions) {
  let lastTime = ''
  let clockAlarm = false
  let nextKept = 0
  const compareKept = (segment: Segment, offset: number) => {
    for (; nextKept < kept.count && kept.sizeAt(nextKept) === tree.size; nextKept += 1) {
      if (!Buffer.from(kept.rootAt(nextKept)).equals(tree.rootOf(tree.size))) {
        throw damaged(
          segment.name,
          offset,
          `the tree of ${tree.size} leaves has another root than the kept checkpoint`,
        )
      }
    }
  }
  const addToTree = (segment: Segment, record: PlacedRecord) => {
    if (nextKept === 0) compareKept(segment, record.offset)
    tree.append(leafHashOf(record.leaf))
    compareKept(segment, record.offset)
  }
  return {
    clock: () => ({ lastTimeMs: lastTime === '' ? 0 : Date.parse(lastTime), clockAlarm }),
    addRaw(segment: Segment, record: PlacedRecord) {
      // The tree cannot tell the two kinds apart: an event that is passed off as a raw leaf would be hidden.
      if (beginsLikeEvent(record.leaf))
        throw damaged(segment.name, record.offset, 'a raw leaf begins like that of an event', {
          position: record.position,
        })
      index.addRaw({ segment: segment.number, offset: record.offset, bytes: record.bytes })
      addToTree(segment, record)
    },
    add(segment: Segment, record: PlacedRecord) {
      const leaf = trustedLeaf(record.leaf.toString('utf8'))
      if (
        Number(leaf.revision) !== index.streamSize(leaf.project, leaf.stream) ||
        index.positionOf(leaf.id) !== undefined
      ) {
        throw damaged(
          segment.name,
          record.offset,
          `the event ${leaf.id} does not follow what stands before it`,
          { position: record.position },
        )
      }
      index.add({ ...leaf, segment: segment.number, offset: record.offset, bytes: record.bytes })
      addToTree(segment, record)
      lastTime = leaf.time
      if (leaf.writer === 'ledger' && leaf.type.startsWith('ledger.alarm-'))
        clockAlarm = leaf.type === 'ledger.alarm-raised'
    },
  }
}

interface SegmentRead {
  readonly end: number
  readonly flaw: FlawAt | null
  readonly lastGroup: ScannedGroup | null
}

async function replaySegment(
  segment: Segment,
  fold: ReturnType<typeof createFold>,
): Promise<SegmentRead> {
  let end = 64
  let position = segment.header.firstPosition
  let lastGroup: ScannedGroup | null = null
  for await (const group of scanGroups(segment.file, segment.header.nonce)) {
    if (isFlaw(group)) return { end, flaw: group, lastGroup }
    if (group.frame.firstPosition !== position) {
      throw damaged(
        segment.name,
        group.offset,
        `a group says position ${group.frame.firstPosition} where ${position} is next`,
      )
    }
    const records = recordsOf(group)
    if (isFlaw(records)) return { end, flaw: records, lastGroup }
    for (const record of records)
      if (record.raw) fold.addRaw(segment, record)
      else fold.add(segment, record)
    position += records.length
    end = group.offset + group.bytes.length
    lastGroup = group
  }
  return { end, flaw: null, lastGroup }
}

/** Tells a torn tail from damage, and answers what is to be cut off. */
async function judgeTail(
  segment: Segment,
  end: number,
  flaw: FlawAt,
  { kept, tree }: ReplayOptions,
): Promise<CutTail> {
  if (coversMore(kept, tree.size)) {
    throw damaged(segment.name, flaw.offset, flaw.flaw, { covered: kept.sizeAt(kept.count - 1) })
  }
  const later = await findFrame(segment.file, segment.header.nonce, end + 1)
  if (later !== undefined)
    throw damaged(segment.name, flaw.offset, flaw.flaw, { nextSoundGroup: later })
  return { segment: segment.name, offset: end, bytes: (await segment.file.size()) - end }
}

/**
 * Cuts the torn tail off and makes the last group durable, or the header when there is none. The
 * bytes may be in the page cache only, and after a failed sync the system may think them clean:
 * they are written again.
 */
async function settleTail({ file, header }: Segment, lastGroup: ScannedGroup | null, end: number) {
  if ((await file.size()) > end) await file.truncate(end)
  if (lastGroup === null) await file.write(encodeSegmentHeader(header), 0)
  else if (lastGroup.offset + groupFrameBytes + lastGroup.frame.bytes === end) {
    const bytes = Buffer.alloc(lastGroup.frame.bytes + groupFrameBytes)
    await file.read(bytes, lastGroup.offset)
    await file.write(bytes, lastGroup.offset)
  }
  await file.sync()
}
