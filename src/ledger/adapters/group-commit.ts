import type { EvidenceError } from '../../contracts/errors.js'
import type { RecordedEvent } from '../event-store.js'
import type { DigestThread } from './digest-thread.js'
import type { PreparedRequest } from './draft-check.js'
import { bufferOf, hashBytes, type LaidGroup, layGroup } from './group-bytes.js'
import type { Soon } from './index-runs.js'
import type { IndexStore } from './index-store.js'
import type { JournalWriter } from './journal-writer.js'
import type { ClockReading, LedgerClock } from './ledger-clock.js'
import {
  createGroupSequencer,
  type GroupHead,
  type GroupType,
  type Known,
  type Outcome,
  type SequencedLeaf,
  type Taken,
  takenInGroup,
  takenOnDisk,
} from './sequencer.js'

/** What one caller wants appended: a request, or the bytes of a raw leaf. */
export type Wanted = { readonly request: PreparedRequest } | { readonly raw: Uint8Array }

export interface CommitParts {
  readonly store: IndexStore
  readonly clock: LedgerClock
  readonly writer: JournalWriter
  readonly digests: DigestThread
  readonly readEvent: (position: number) => Promise<RecordedEvent>
  /** Why nothing new is taken but what may use the disk reserve, or null. */
  readonly refusal: () => EvidenceError | null
  /** Called after each group that added events, once readers can see them. */
  readonly onCommit: () => void
}

/** A group that is ready to be written: sequenced, laid out and digested. Nothing has changed yet. */
export interface ReadyGroup {
  readonly known: Known
  readonly leaves: readonly SequencedLeaf[]
  /** What each caller is told once the leaves are durable; the position of a raw leaf. */
  readonly outcomes: readonly (Outcome | number)[]
  readonly reading: ClockReading
  /** Null when the group adds nothing. */
  readonly laid: LaidGroup | null
  /** Leaf hashes in hex. */
  readonly hashes: readonly string[]
}

export const mayUseReserve = (one: Wanted): boolean => 'request' in one && one.request.fromReserve

/**
 * Makes a group ready. `before` is the group that is being written meanwhile: it counts as if it were
 * durable, so what comes of this one is worth nothing when that one fails. Answers null when the group must
 * wait for it.
 *
 * @throws NotDurable when the disk is full, EvidenceError INDEX_DAMAGED.
 */
export async function makeReady(
  group: readonly Wanted[],
  before: ReadyGroup | null,
  parts: CommitParts,
): Promise<ReadyGroup | null> {
  const room = parts.store.room()
  if (room !== undefined) await room
  const reading = parts.clock.read()
  if (before !== null && !isPlain(before.reading, reading)) return null
  const requests: PreparedRequest[] = []
  for (const one of group) if ('request' in one) requests.push(one.request)
  if (reading.event !== null) requests.push(reading.event)
  const known = await recall(requests, before, parts)
  const sequencer = createGroupSequencer(known, reading.timeMs)
  const refusal = parts.refusal()
  const outcomes = group.map((one) => {
    if (!('raw' in one)) return sequencer.sequence(one.request, mayUseReserve(one) ? null : refusal)
    return refusal === null ? sequencer.placeRaw(one.raw) : { error: refusal }
  })
  const { leaves } = sequencer
  if (leaves.length === 0) return { known, leaves, outcomes, reading, laid: null, hashes: [] }
  if (reading.event !== null) sequencer.sequence(reading.event)
  const laid = await parts.digests.digest(() => layGroup(leaves, known.size), leaves.length)
  const hashes = hexesOf(laid)
  for (const head of known.heads.values()) {
    if (head.inGroup === -1) continue
    head.prev = hashes[head.inGroup] ?? null
    head.inGroup = -1
  }
  return { known, leaves, outcomes, reading, laid, hashes }
}

/** Whether the clock simply went on: an alarm is told by one group, and counts for the next. */
const isPlain = (before: ClockReading, reading: ClockReading): boolean =>
  before.event === null && reading.event === null && reading.timeMs >= before.timeMs

const hexesOf = ({ hashes }: LaidGroup): readonly string[] => {
  const bytes = bufferOf(hashes)
  const hexes: string[] = []
  for (let at = 0; at < bytes.length; at += hashBytes)
    hexes.push(bytes.toString('hex', at, at + hashBytes))
  return hexes
}

/** Writes a ready group and makes it what readers see. @throws NotDurable. */
export async function commitReady(group: ReadyGroup, parts: CommitParts): Promise<void> {
  const { leaves, hashes, laid, reading } = group
  if (laid === null) return
  const { store, clock, writer } = parts
  const placeOf = await writer.write(laid)
  const { tree, index } = store
  tree.append(laid.hashes)
  for (let i = 0; i < leaves.length; i += 1) {
    const leaf = leaves[i]
    if (leaf === undefined) continue
    if ('raw' in leaf) index.addRaw(placeOf(i))
    else index.add(placeOf(i), leaf.prepared, leaf.revision, leaf.typeSeq, hashes[i] ?? '')
  }
  reading.commit()
  const at = { lastTimeMs: reading.timeMs, clockAlarm: clock.alarm !== null }
  store.endGroup(() => writer.mark(at))
  parts.onCommit()
}

/** Gathers what sequencing must know; waits only for what the index must read from the disk. */
async function recall(
  requests: readonly PreparedRequest[],
  before: ReadyGroup | null,
  { store, readEvent }: CommitParts,
): Promise<Known> {
  const { index } = store
  const size = before === null ? index.size : before.known.size + before.leaves.length
  const stored = new Map<string, Taken>()
  const heads = new Map<string, GroupHead>()
  const types = new Map<string, GroupType>()
  const waits: Promise<unknown>[] = []
  const put = <Value>(value: Soon<Value>, into: (value: Value) => void) => {
    if (value instanceof Promise) waits.push(value.then(into))
    else into(value)
  }
  const readAgain = async (id: string, position: Soon<number | undefined>) => {
    const at = await position
    if (at !== undefined) stored.set(id, takenOnDisk(await readEvent(at)))
  }
  const inBefore = before?.known.added
  for (const { targets, events } of requests) {
    for (const { project, stream, streamKey } of targets) {
      if (heads.has(streamKey)) continue
      const head = before?.known.heads.get(streamKey) ?? index.headOf(project, stream)
      put<Pick<GroupHead, 'size' | 'prev'>>(head, (read) =>
        heads.set(streamKey, { size: read.size, prev: read.prev, inGroup: -1 }),
      )
    }
    for (const { id, project, type, typeKey } of events) {
      if (!types.has(typeKey)) {
        const known = before?.known.types.get(typeKey)
        put(known === undefined ? index.typeSize(project, type) : known.size, (read) =>
          types.set(typeKey, { size: read }),
        )
      }
      const taken = inBefore?.get(id)
      if (taken !== undefined) {
        stored.set(id, takenInGroup(taken))
        continue
      }
      const position = index.positionOf(id)
      if (position !== undefined) waits.push(readAgain(id, position))
    }
  }
  if (waits.length > 0) await Promise.all(waits)
  return { size, stored, heads, types, added: new Map() }
}
