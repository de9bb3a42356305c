import { hash } from 'node:crypto'
import { join } from 'node:path'
import type { Leaf } from '../../contracts/leaf.js'
import { leafPrefix } from '../../contracts/leaf.js'
import { hexOf } from '../encoding.js'
import { beginsLikeEvent } from '../raw-leaf.js'
import type { FilePort } from './file-port.js'
import type { JournalMark } from './index-flush.js'
import type { IndexStore } from './index-store.js'
import { encodeSegmentHeader, isFlaw, segmentHeaderBytes } from './journal-format.js'
import type { KeptCheckpoint, KeptCheckpoints } from './kept-checkpoints.js'
import { namesOf } from './recent-events.js'
import { findFrame, type FlawAt, type PlacedRecord, recordsOf, scanGroups } from './segment-scan.js'
import {
  damaged,
  originMarkOf,
  readSegmentHeader,
  type Segment,
  segmentName,
  segmentNames,
  segmentsFolder,
} from './segments.js'

/** What recovery cut off: the torn end of a group that was never acknowledged. */
export interface CutTail {
  readonly segment: string
  readonly offset: number
  readonly bytes: number
}

export interface Replayed {
  readonly segments: Segment[]
  /** Where each segment ends; in the last one the next group goes there. */
  readonly ends: number[]
  /** Where the last group begins in the last segment, and its first position. */
  readonly group: JournalMark['group']
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
  readonly store: IndexStore
  readonly kept: KeptCheckpoints
  /** Cut a torn tail off and make the last group durable again; false only looks. */
  readonly repair: boolean
}

/** The index speaks of another journal than this one: all must be read. */
export class IndexUnfit extends Error {}

const leafMark = Buffer.alloc(1)
export const leafHashOf = (leaf: Uint8Array): Buffer =>
  Buffer.from(hash('sha256', Buffer.concat([leafMark, leaf]), 'binary'), 'latin1')

/** Reads a leaf whose checksum was checked: it is what `leafTextOf` wrote. */
export const trustedLeaf = (text: string): Leaf =>
  // The engine writes nothing else here, and the checksum says that these are its bytes.
  JSON.parse(text.slice(leafPrefix.length)) as Leaf

/**
 * Reads the journal from where index and tree end, and compares the tree with every kept checkpoint
 * from there on and with the last one in any case. Of the segments before only header and length are
 * looked at: what stands in them is checked when it is read, and by fsck.
 *
 * A bad group is a torn write only when nothing proves that it was acknowledged: it is in the
 * last segment, no sound group follows it, and no kept checkpoint covers it. Everything else is
 * damage and is never cut off.
 *
 * @throws EvidenceError JOURNAL_DAMAGED with segment, offset and flaw. @throws IndexUnfit.
 */
export async function replay(options: ReplayOptions): Promise<Replayed> {
  const { files, folder, store, kept } = options
  const names = await segmentNames(files, folder)
  const covered = store.manifest?.segments ?? []
  const fold = createFold(options)
  const segments: Segment[] = []
  const ends: number[] = []
  let group = store.manifest?.group ?? { offset: 0, position: 0 }
  let cut: CutTail | null = null
  if (names.length < covered.length) throw new IndexUnfit('segments of the index are missing')
  try {
    await fold.begin()
    for (const [number, name] of names.entries()) {
      const isLast = number === names.length - 1
      const known = covered[number]
      if (known === undefined && name !== segmentName(store.tree.size))
        throw damaged(name, 0, `a segment beginning at position ${store.tree.size} is missing`)
      const opened = await openSegment(options, number, name, isLast)
      if ('cut' in opened) {
        cut = opened.cut
        break
      }
      segments.push(opened)
      if (known !== undefined) await checkKnown(opened, known)
      if (known !== undefined && number < covered.length - 1) {
        ends.push(known.bytes)
        continue
      }
      const from = known === undefined ? undefined : group
      const read = await replaySegment(opened, fold, segments, ends, from)
      if (known !== undefined && read.end < known.bytes)
        throw new IndexUnfit(`the journal ends before the index in ${name}`)
      ends.push(read.end)
      if (read.lastGroup !== null) group = read.lastGroup
      if (read.flaw !== null) {
        if (!isLast) throw damaged(name, read.flaw.offset, read.flaw.flaw)
        cut = await judgeTail(opened, read.end, read.flaw, options)
      }
      if (isLast && options.repair) {
        await settleTail(opened, group, read.end)
        await files.syncFolder(segmentsFolder(folder))
      }
    }
    if (coversMore(kept, store.tree.size)) {
      const ending = `the journal ends after ${store.tree.size} events`
      throw damaged(
        names.at(-1) ?? 'journal',
        ends.at(-1) ?? 0,
        `${ending}, a kept checkpoint covers ${kept.last?.size ?? 0}`,
      )
    }
  } catch (error) {
    for (const { file } of segments) await file.close()
    throw error
  }
  return { segments, ends, group, cut, ...fold.clock() }
}

const coversMore = (kept: KeptCheckpoints, size: number): boolean => (kept.last?.size ?? 0) > size

async function openSegment(
  { files, folder, origin, kept, store, repair }: ReplayOptions,
  number: number,
  name: string,
  isLast: boolean,
): Promise<Segment | { readonly cut: CutTail }> {
  const path = join(segmentsFolder(folder), name)
  const file = await files.open(path, repair ? 'write' : 'read')
  const header = await readSegmentHeader(file, name, originMarkOf(origin))
  if (!isFlaw(header)) return { number, name, header, file }
  const bytes = await file.size()
  await file.close()
  // Torn only while the file holds no more than a header: groups come after the header is durable.
  if (!isLast || bytes > segmentHeaderBytes || coversMore(kept, store.tree.size))
    throw damaged(name, 0, header.flaw)
  if (repair) {
    await files.remove(path)
    await files.syncFolder(segmentsFolder(folder))
  }
  return { cut: { segment: name, offset: 0, bytes } }
}

/** A segment that the index knows must be the same file, and not shorter. */
async function checkKnown(segment: Segment, known: JournalMark['segments'][number]) {
  if (
    segment.name !== known.name ||
    hexOf(segment.header.nonce) !== known.nonce ||
    (await segment.file.size()) < known.bytes
  )
    throw new IndexUnfit(`${segment.name} is not what the index knows`)
}

function createFold({ store, kept }: ReplayOptions) {
  const { index, tree, manifest } = store
  const through = manifest?.through ?? 0
  const lastTimeMs = manifest?.last_time_ms ?? 0
  let lastTime = ''
  let clockAlarm = manifest?.clock_alarm ?? false
  let ahead: AsyncGenerator<KeptCheckpoint> | undefined
  let next: KeptCheckpoint | undefined
  const clock = () => ({
    lastTimeMs: lastTime === '' ? lastTimeMs : Date.parse(lastTime),
    clockAlarm,
  })
  const compare = async (checkpoint: KeptCheckpoint, segment: string, offset: number) => {
    const root = checkpoint.size === tree.size ? tree.root() : await tree.rootOf(checkpoint.size)
    if (!Buffer.from(checkpoint.root).equals(root)) {
      throw damaged(
        segment,
        offset,
        `the tree of ${checkpoint.size} leaves has another root than the kept checkpoint`,
      )
    }
  }
  const step = async () => {
    const result = await ahead?.next()
    next = result === undefined || result.done === true ? undefined : result.value
  }
  const compareNext = async (segment: string, offset: number) => {
    while (next !== undefined && next.size === tree.size) {
      await compare(next, segment, offset)
      await step()
    }
  }
  return {
    clock,
    /** Compares what needs no more of the journal. */
    async begin() {
      const { last } = kept
      if (last !== undefined && last.size <= through) await compare(last, 'journal', 0)
      ahead = kept.after(through)
      await step()
    },
    async addRaw(segment: Segment, record: PlacedRecord) {
      if (record.position < through) return
      // The tree cannot tell the two kinds apart: an event that is passed off as a raw leaf would be hidden.
      if (beginsLikeEvent(record.leaf))
        throw damaged(segment.name, record.offset, 'a raw leaf begins like that of an event', {
          position: record.position,
        })
      index.addRaw({ segment: segment.number, offset: record.offset, bytes: record.bytes })
      tree.append(leafHashOf(record.leaf))
      if (next?.size === tree.size) await compareNext(segment.name, record.offset)
    },
    async add(segment: Segment, record: PlacedRecord) {
      // The group at which the index ends is read again to see that it is whole.
      if (record.position < through) return
      const leaf = trustedLeaf(record.leaf.toString('utf8'))
      const size = index.streamSize(leaf.project, leaf.stream)
      const taken = index.positionOf(leaf.id)
      if (
        Number(leaf.revision) !== (size instanceof Promise ? await size : size) ||
        (taken instanceof Promise ? await taken : taken) !== undefined
      ) {
        throw damaged(
          segment.name,
          record.offset,
          `the event ${leaf.id} does not follow what stands before it`,
          { position: record.position },
        )
      }
      const leafHash = leafHashOf(record.leaf)
      index.add(
        { segment: segment.number, offset: record.offset, bytes: record.bytes },
        namesOf(leaf),
        Number(leaf.revision),
        Number(leaf.type_seq),
        leafHash.toString('hex'),
      )
      tree.append(leafHash)
      if (next?.size === tree.size) await compareNext(segment.name, record.offset)
      lastTime = leaf.time
      // Alarms of other observers carry their own name as actor.
      if (
        leaf.writer === 'ledger' &&
        leaf.actor === 'ledger' &&
        leaf.type.startsWith('ledger.alarm-')
      )
        clockAlarm = leaf.type === 'ledger.alarm-raised'
    },
    async endGroup(mark: () => JournalMark) {
      store.endGroup(mark)
      tree.fold()
      await store.room()
    },
  }
}

/** What the index must know of the journal to go on from the end of a group. */
export const markOf = (
  segments: readonly Segment[],
  ends: readonly number[],
  group: JournalMark['group'],
  clock: { readonly lastTimeMs: number; readonly clockAlarm: boolean },
): JournalMark => ({
  segments: segments.map(({ name, header }, i) => ({
    name,
    nonce: hexOf(header.nonce),
    bytes: ends[i] ?? 0,
  })),
  group,
  last_time_ms: clock.lastTimeMs,
  clock_alarm: clock.clockAlarm,
})

interface SegmentRead {
  readonly end: number
  readonly flaw: FlawAt | null
  readonly lastGroup: JournalMark['group'] | null
}

async function replaySegment(
  segment: Segment,
  fold: ReturnType<typeof createFold>,
  segments: readonly Segment[],
  ends: readonly number[],
  from: JournalMark['group'] | undefined,
): Promise<SegmentRead> {
  let end = from?.offset ?? segmentHeaderBytes
  let position = from?.position ?? segment.header.firstPosition
  let lastGroup: JournalMark['group'] | null = null
  for await (const group of scanGroups(segment.file, segment.header.nonce, end)) {
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
      if (record.raw) await fold.addRaw(segment, record)
      else await fold.add(segment, record)
    const begun = { offset: group.offset, position }
    position += records.length
    end = group.offset + group.bytes.length
    lastGroup = begun
    const here = end
    const count = ends.length
    await fold.endGroup(() =>
      markOf(segments.slice(0, count + 1), [...ends.slice(0, count), here], begun, fold.clock()),
    )
  }
  return { end, flaw: null, lastGroup }
}

/** Tells a torn tail from damage, and answers what is to be cut off. */
async function judgeTail(
  segment: Segment,
  end: number,
  flaw: FlawAt,
  { kept, store }: ReplayOptions,
): Promise<CutTail> {
  if (coversMore(kept, store.tree.size)) {
    throw damaged(segment.name, flaw.offset, flaw.flaw, { covered: kept.last?.size ?? 0 })
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
async function settleTail({ file, header }: Segment, group: JournalMark['group'], end: number) {
  if ((await file.size()) > end) await file.truncate(end)
  if (end === segmentHeaderBytes) await file.write(encodeSegmentHeader(header), 0)
  else {
    const bytes = Buffer.alloc(end - group.offset)
    await file.read(bytes, group.offset)
    await file.write(bytes, group.offset)
  }
  await file.sync()
}
