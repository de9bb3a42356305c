import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../contracts/errors.js'
import type { EventReader, ProofSource } from '../ledger/event-store.js'
import type { LogEntry, Projector } from '../projections/projector.js'
import type { FactRows, Range, Row, TablePosition, Warehouse } from '../projections/warehouse.js'
import type { Log } from './log.js'
import { entriesOf, rangeEventsMax } from './log-entries.js'

/** How often an idle follower looks at the size of the log: two numbers in memory. */
export const idleMs = 25
export const retryMsMin = 100
export const retryMsMax = 5_000
/** A table that cannot read an event is tried again after this time; the others go on. */
export const stalledRetryMs = 60_000

export interface FoldProgress {
  /** Every event below it is in all tables that are being folded. */
  readonly position: number
  /** Where they will end: leaves covered by the latest checkpoint. */
  readonly size: number
}

interface FoldOptions {
  readonly reader: EventReader
  readonly proofs: ProofSource
  readonly warehouse: Warehouse & Pick<FactRows, 'replace'>
  readonly projectors: readonly Projector[]
  readonly signal: AbortSignal
  readonly onProgress?: (progress: FoldProgress) => void
}

/** A table that cannot read one event; it stays where it is. */
export interface Stalled {
  readonly table: string
  readonly position: number
  readonly detail: string
  readonly version: number
  readonly eventId: string
  readonly eventType: string
  readonly reasonCode: string
}

/** Follows the ledger into the fact tables. */
export interface FactFollower {
  /** The lowest position of all tables: every event below it is in every one of them. */
  position(): number
  /** Resolves when the tables hold every event below `position`. @throws EvidenceError WAREHOUSE_UNAVAILABLE after `timeoutMs`. */
  waitFor(position: number, timeoutMs: number): Promise<void>
  /**
   * Empties tables (all when none is named) and folds them from 0, while the others wait for them.
   * Resolves with the position when they hold everything that the ledger had at the call.
   *
   * @throws EvidenceError REQUEST_INVALID for an unknown table; WAREHOUSE_UNAVAILABLE when it stops.
   */
  rebuild(
    tables?: readonly string[],
    onProgress?: (progress: FoldProgress) => void,
  ): Promise<number>
  status(): {
    readonly status: 'ok' | 'starting' | 'lagging' | 'down'
    readonly detail: string
    readonly position: number
    readonly size: number
    readonly stalled: readonly Stalled[]
  }
  /** Resolves when it has ended after its signal aborted. */
  readonly done: Promise<void>
}

/** The tables that can be folded together: same position, same planned end. */
interface Lane extends Omit<TablePosition, 'epoch'> {
  readonly tables: readonly Projector[]
  /** Positions at which other tables stand: there this lane can join them. */
  readonly end: number
}

/** The lane that is furthest behind. */
function nextLane(
  projectors: readonly Projector[],
  positions: ReadonlyMap<string, TablePosition>,
): Lane | undefined {
  const at = (projector: Projector) =>
    positions.get(projector.table) ?? { position: 0, plannedTo: 0, epoch: 0 }
  const [first] = [...projectors].sort(
    (a, b) => at(a).position - at(b).position || at(b).plannedTo - at(a).plannedTo,
  )
  if (first === undefined) return undefined
  const { position, plannedTo } = at(first)
  const tables = projectors.filter(
    (p) => at(p).position === position && at(p).plannedTo === plannedTo,
  )
  const others = projectors.map((p) => at(p).position).filter((other) => other > position)
  return { position, plannedTo, tables, end: Math.min(...others, Number.MAX_SAFE_INTEGER) }
}

/** Folds ranges of the log into the tables that are furthest behind. */
function createFolding({ reader, proofs, warehouse, projectors }: FoldOptions) {
  const stalled = new Map<string, Stalled>()
  let positions: ReadonlyMap<string, TablePosition> = new Map()

  /** Only what a checkpoint covers is folded, so that every row has its checkpoint and its proof. */
  const size = () => proofs.checkpoint().size

  const rowsOf = (projector: Projector, entries: readonly LogEntry[]): Row[] | undefined => {
    const types = projector.types === 'all' ? undefined : new Set(projector.types)
    try {
      const rows = entries.flatMap((entry) =>
        types?.has(entry.event.leaf.type) === false ? [] : projector.rows(entry),
      )
      stalled.delete(projector.table)
      return rows
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      const position = Number(error.details['position'] ?? entries[0]?.event.position ?? 0)
      const of = (name: string) => {
        const detail = error.details[name]
        return typeof detail === 'string' ? detail : ''
      }
      stalled.set(projector.table, {
        table: projector.table,
        version: projector.version,
        position,
        detail: error.message,
        eventId: of('eventId'),
        eventType: of('eventType'),
        reasonCode: of('reasonCode'),
      })
      return undefined
    }
  }

  async function fold(lane: Lane): Promise<void> {
    const from = lane.position
    const planned = lane.plannedTo > from
    const to = planned ? lane.plannedTo : Math.min(size(), from + rangeEventsMax, lane.end)
    // A planned range is read to its planned end, whatever it weighs: it did not weigh more then.
    const { entries, end } = await entriesOf({ reader, proofs }, from, to, planned)
    const range: Range = { from, to: end }
    const folded = lane.tables.flatMap((projector) => {
      const rows = rowsOf(projector, entries)
      return rows === undefined ? [] : [{ table: projector.table, rows }]
    })
    if (end === from || folded.length === 0) return
    const tables = folded.map(({ table }) => table)
    // The plan stands before the first row and the position moves after the last. Whoever finds a plan after a
    // crash takes away what is there of it: the engine notes a token and keeps a part in two steps, so that a
    // token alone does not say whether its rows are there.
    if (!planned) await warehouse.plan(tables, range)
    for (const { table, rows } of folded) {
      if (planned) await warehouse.replace(table, range, rows)
      else await warehouse.write(table, range, rows)
    }
    await warehouse.commit(tables, range)
    const moved = tables.map((table) => {
      const epoch = positions.get(table)?.epoch ?? 0
      return [table, { position: range.to, plannedTo: range.to, epoch }] as const
    })
    positions = new Map([...positions, ...moved])
  }

  return {
    size,
    stalled,
    lowest: () => Math.min(...projectors.map((p) => positions.get(p.table)?.position ?? 0)),
    async open(anew: readonly string[] = []) {
      await warehouse.prepare(projectors, anew)
      positions = await warehouse.positions()
    },
    /** Folds one range; false when every table that can go on is at the head. */
    async step(): Promise<boolean> {
      const lane = nextLane(
        projectors.filter((p) => !stalled.has(p.table)),
        positions,
      )
      if (lane === undefined || (lane.position >= size() && lane.plannedTo <= lane.position))
        return false
      await fold(lane)
      return true
    },
  }
}

/**
 * Folds the ledger into the fact tables until the signal aborts. The warehouse may go and come
 * back at any time; nothing is skipped or written twice.
 */
export function followFacts(
  options: FoldOptions & {
    readonly log: Log
    /** Told of every table that stopped, again after every try; must not throw. */
    readonly onStalled?: (stalled: Stalled) => Promise<void>
  },
): FactFollower {
  const { signal, log, onProgress, onStalled } = options
  const folding = createFolding(options)
  let opened = false
  let failure = ''
  let settle: (() => void)[] = []
  let anew = new Set<string>()

  const changed = () => {
    const waiting = settle
    settle = []
    for (const resolve of waiting) resolve()
  }

  const work = async () => {
    if (!opened || failure !== '' || anew.size > 0) {
      const asked = anew
      await folding.open([...asked])
      for (const table of asked) folding.stalled.delete(table)
      if (asked === anew) anew = new Set()
    }
    opened = true
    failure = ''
    const known = new Set(folding.stalled.keys())
    const moved = await folding.step()
    changed()
    for (const [table, stalled] of folding.stalled) {
      if (known.has(table)) continue
      const { position, detail } = stalled
      log.warn('fact table stalled', { table, position, detail })
      await onStalled?.(stalled)
    }
    if (!moved) return false
    onProgress?.({ position: folding.lowest(), size: folding.size() })
    return true
  }

  const follow = async () => {
    let wait = retryMsMin
    let retryStalledIn = stalledRetryMs
    while (!signal.aborted) {
      try {
        const moved = await work()
        wait = retryMsMin
        if (moved) continue
        await pause(idleMs, undefined, { signal }).catch(() => undefined)
        retryStalledIn -= idleMs
        if (retryStalledIn > 0) continue
        folding.stalled.clear()
        retryStalledIn = stalledRetryMs
      } catch (error) {
        if (failure === '') log.warn('fact tables cannot be written', { error: String(error) })
        failure = error instanceof Error ? error.message : String(error)
        await pause(wait, undefined, { signal }).catch(() => undefined)
        wait = Math.min(wait * 2, retryMsMax)
      }
    }
    changed()
  }

  const done = follow()
  return {
    done,
    position: folding.lowest,
    async rebuild(tables, onRebuilt) {
      const names = chosenOf(options.projectors, tables).map((p) => p.table)
      const target = folding.size()
      const request = new Set([...anew, ...names])
      anew = request
      while (anew === request || folding.lowest() < target) {
        if (signal.aborted) {
          throw new EvidenceError('WAREHOUSE_UNAVAILABLE', 'the service stopped during the rebuild')
        }
        const stalled = folding.stalled.values().next().value
        if (anew !== request && stalled !== undefined) throw projectionFailed(stalled)
        await new Promise<void>((resolve) => settle.push(resolve))
        onRebuilt?.({ position: folding.lowest(), size: target })
      }
      return folding.lowest()
    },
    async waitFor(position, timeoutMs) {
      const timeout = AbortSignal.timeout(timeoutMs)
      const late = new Promise<void>((resolve) =>
        timeout.addEventListener('abort', () => resolve(), { once: true }),
      )
      while (folding.lowest() < position) {
        if (timeout.aborted || signal.aborted) {
          throw new EvidenceError(
            'WAREHOUSE_UNAVAILABLE',
            `the fact tables are at position ${folding.lowest()}, not yet at ${position}`,
            { details: { position: String(folding.lowest()) } },
          )
        }
        await Promise.race([new Promise<void>((resolve) => settle.push(resolve)), late])
      }
    },
    status() {
      const position = folding.lowest()
      const stalled = [...folding.stalled.values()]
      const size = folding.size()
      const at = { position, size, stalled }
      if (failure !== '') return { status: 'down', detail: failure, ...at }
      if (!opened) return { status: 'starting', detail: 'opening the warehouse', ...at }
      if (stalled.length > 0)
        return { status: 'lagging', detail: stalled.map((s) => s.detail).join('; '), ...at }
      const behind = size - position
      return behind > 0
        ? { status: 'lagging', detail: `${behind} events behind`, ...at }
        : { status: 'ok', detail: '', ...at }
    },
  }
}

/**
 * Empties fact tables and folds them from 0 to the latest checkpoint. Nobody else may write them
 * meanwhile. Answers the position they then stand at.
 *
 * @throws EvidenceError WAREHOUSE_UNAVAILABLE; PROJECTION_FAILED when a table cannot read an event.
 */
export async function rebuildFacts(
  options: FoldOptions & { readonly tables?: readonly string[] },
): Promise<number> {
  const { projectors, tables, signal, onProgress } = options
  const chosen = chosenOf(projectors, tables)
  const folding = createFolding({ ...options, projectors: chosen })
  await folding.open(chosen.map((p) => p.table))
  while (await folding.step()) {
    signal.throwIfAborted()
    onProgress?.({ position: folding.lowest(), size: folding.size() })
  }
  const [stalled] = folding.stalled.values()
  if (stalled !== undefined) throw projectionFailed(stalled)
  return folding.lowest()
}

const projectionFailed = (stalled: Stalled) =>
  new EvidenceError('PROJECTION_FAILED', stalled.detail, { details: { ...stalled } })

/** The projectors of some tables. @throws EvidenceError REQUEST_INVALID for an unknown table. */
export function chosenOf(projectors: readonly Projector[], tables: readonly string[] | undefined) {
  if (tables === undefined) return projectors
  const unknown = tables.filter((table) => !projectors.some((p) => p.table === table))
  if (unknown.length > 0) {
    const fields = unknown.map((table) => ({ pointer: '/tables', detail: `${table} is not one` }))
    throw new EvidenceError('REQUEST_INVALID', `there is no fact table ${unknown.join(', ')}`, {
      fields,
    })
  }
  return projectors.filter((p) => tables.includes(p.table))
}
