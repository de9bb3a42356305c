import type { DataOf } from '../contracts/event.js'
import { sealLagMax } from '../contracts/heads.js'
import type { headsSealed } from '../contracts/ledger.js'
import { hexOf } from './encoding.js'
import type { EventReader, RecordedEvent } from './event-store.js'
import { type Head, headKey, type HeadProof } from './heads.js'
import { HeadsDamaged, type HeadsMap } from './heads-map.js'
import type { Sha256 } from './merkle.js'
import { isSealDue, lastSeal, type Seal, type SealRule } from './seals.js'

/** The last event of a stream or type among the leaves that a seal covers, with its way in the map. */
export interface SealedHead {
  readonly seal: Seal
  /** The event of the seal. */
  readonly event: RecordedEvent
  /** Null when the seal covers no event of it. */
  readonly head: Head | null
  readonly proof: HeadProof
}

/** The map of the last seal. */
export interface SealedHeads {
  /** Undefined as long as nothing is sealed. */
  prove(kind: 'stream' | 'type', project: string, name: string): Promise<SealedHead | undefined>
}

export interface HeadSealing extends SealedHeads {
  /** Seals all leaves that are there when the rule asks for it; answers the new seal. */
  sealIfDue(nowMs: number): Promise<Seal | undefined>
}

export interface HeadSealingParts {
  readonly sha256: Sha256
  readonly origin: string
  readonly reader: Pick<EventReader, 'readLog' | 'size' | 'find'>
  readonly map: HeadsMap
  readonly rule: SealRule
  /** Records the seal and answers the id of its event. A ledger that is only looked at has none. */
  readonly record?: (data: DataOf<typeof headsSealed>) => Promise<string>
  /** The last seal does not name the map of the leaves it covers: somebody must look at it. */
  readonly onMismatch: (seal: Seal, root: string) => void
  /** The last seal that was there at the start names the map of the leaves it covers. */
  readonly onMatch?: () => void
}

/** How often leaves that came meanwhile are folded before somebody else may use the map. */
const foldRoundsMax = 8
/** Events that are folded together, so that of each stream only the last of them costs anything. */
const foldedEventsMax = 1_024
const foldedBytesMax = 1024 * 1024

interface State {
  readonly last: { readonly seal: Seal; readonly event: RecordedEvent } | undefined
}

/**
 * Keeps the map at the last seal and makes the next one. Between two seals the map stands still, so
 * that proofs fit the seal; the leaves in between are read when they are sealed. If the process stops
 * after the event of a seal and before the map is kept, the next start folds the same leaves again; if
 * it stops before the event, nothing was said.
 */
export function createHeadSealing(parts: HeadSealingParts): HeadSealing {
  const { sha256, origin, reader, map, rule } = parts
  let state: State | undefined
  let oldest = { from: 0, scanned: 0, timeMs: undefined as number | undefined }
  let running: Promise<unknown> = Promise.resolve()

  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const mine = running.then(() => withMap(work))
    running = mine.catch(() => undefined)
    return mine
  }

  /** A map that turns out to be damaged is made anew, once. */
  const withMap = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof HeadsDamaged)) throw error
      await map.reset()
      state = undefined
      return work()
    }
  }

  const foldTo = async (size: number) => {
    const from = map.position
    if (from >= size) return
    let some: RecordedEvent[] = []
    let bytes = 0
    for await (const event of reader.readLog({ from, max: size - from })) {
      if (event.position >= size) break
      some.push(event)
      bytes += event.data?.bytes.length ?? 0
      if (some.length < foldedEventsMax && bytes < foldedBytesMax) continue
      map.addAll(some)
      some = []
      bytes = 0
    }
    map.addAll(some)
    map.advance(size)
  }

  const load = async (): Promise<State> => {
    const last = await lastSeal(sha256, origin, reader)
    const size = last?.seal.size ?? 0
    const wasKept = map.position > 0
    // A map beyond the last seal belongs to a later state of this folder, or to none.
    if (map.position > size) await map.reset()
    await foldTo(size)
    let root = hexOf(await map.root())
    if (last !== undefined && wasKept && root !== last.seal.root) {
      await map.reset()
      await foldTo(size)
      root = hexOf(await map.root())
    }
    if (last !== undefined && root !== last.seal.root) parts.onMismatch(last.seal, root)
    else if (last !== undefined) parts.onMatch?.()
    return { last }
  }
  const loaded = async () => (state ??= await load())

  /** Ledger time of the first leaf at or behind `from` that is not the ledger's own. */
  const oldestSince = async (from: number): Promise<number | undefined> => {
    if (oldest.from !== from) oldest = { from, scanned: from, timeMs: undefined }
    if (oldest.timeMs !== undefined) return oldest.timeMs
    for await (const { position, leaf } of reader.readLog({ from: oldest.scanned })) {
      oldest.scanned = position + 1
      if (leaf.writer === 'ledger') continue
      oldest.timeMs = Date.parse(leaf.time)
      break
    }
    return oldest.timeMs
  }

  /**
   * Folds all leaves that are there. Others are appended meanwhile, and a seal that leaves out more than
   * the rule allows is wrong: then these are folded too. Undefined when there is no end to them; the
   * next look goes on.
   */
  const foldToEnd = async () => {
    for (let rounds = 0; rounds < foldRoundsMax; rounds += 1) {
      const size = reader.size()
      await foldTo(size)
      const root = hexOf(await map.root())
      if (reader.size() - size <= (rule.lagMax ?? sealLagMax / 2)) return { size, root }
      await map.keep('enough')
    }
    return undefined
  }

  const seal = async ({ last }: State, record: NonNullable<HeadSealingParts['record']>) => {
    const folded = await foldToEnd()
    if (folded === undefined) return undefined
    const { size, root } = folded
    const data = {
      size: String(size),
      root,
      streams: String(map.streams),
      previous:
        last === undefined
          ? null
          : { position: String(last.event.position), leaf_hash: hexOf(last.event.leafHash) },
    }
    const event = await reader.find(await record(data))
    if (event === undefined) throw new RangeError('a seal was recorded and is not there')
    const made = { ...data, position: event.position, size, streams: map.streams }
    state = { last: { seal: made, event } }
    await map.keep('enough')
    return made
  }

  return {
    prove: (kind, project, name) =>
      inTurn(async () => {
        const { last } = await loaded()
        // A seal that could not be recorded leaves the map ahead: the next one is recorded soon.
        if (last === undefined || map.position !== last.seal.size) return undefined
        return { ...last, ...(await map.prove(headKey(sha256, kind, project, name))) }
      }),
    sealIfDue: (nowMs) =>
      inTurn(async () => {
        const present = await loaded()
        const from = present.last?.seal.size ?? 0
        const leaves = reader.size() - from
        if (parts.record === undefined || leaves <= 0) return undefined
        const oldestMs = await oldestSince(from)
        return isSealDue(rule, { leaves, oldestMs }, nowMs)
          ? await seal(present, parts.record)
          : undefined
      }),
  }
}
