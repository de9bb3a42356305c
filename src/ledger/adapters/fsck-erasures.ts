import type { Leaf } from '../../contracts/leaf.js'
import { erasedPartsOf } from '../../contracts/erasure.js'
import { erasuresTold } from '../erasure.js'
import { unnamedMark } from './erasure-recovery.js'
import type { Payload } from './journal-format.js'
import type { PendingErasure } from './pending-erasure.js'

interface Place {
  readonly segment: string
  readonly offset: number
}
type TellAt = (place: Place, position: number, flaw: string) => void

/** Compares what is erased with what events tell of erasures: neither may be there without the other. */
export interface ErasureCheck {
  add(leaf: Leaf, payload: Payload, position: number, place: Place): void
  /** Tells of everything that does not agree, once the whole journal was seen. */
  end(tell: TellAt): void
  /** What a check that goes on must know; null when there is too much of it. */
  state(): ErasureState | null
}

/** What was seen of erasures, as it stands in the file of an interrupted check. */
export interface ErasureState {
  readonly erased: [string, Erased][]
  readonly told: [string, Told][]
  readonly pending_at: number | null
}

interface Erased {
  readonly namedBy: number
  readonly position: number
  readonly place: Place
}
interface Told {
  readonly by: number[]
  readonly place: Place
}

/** Erasures that are worth writing down; with more of them a check begins anew. */
const writtenMax = 20_000

/** `pending` is the erasure that the last stop left; what it has not yet done is no flaw. */
export function createErasureCheck(
  pending: PendingErasure | undefined,
  before: ErasureState = { erased: [], told: [], pending_at: null },
): ErasureCheck {
  const erased = new Map<string, Erased>(before.erased)
  const told = new Map<string, Told>(before.told)
  let pendingAt = before.pending_at ?? undefined

  return {
    state: () =>
      erased.size + told.size > writtenMax
        ? null
        : { erased: [...erased], told: [...told], pending_at: pendingAt ?? null },
    add({ id, writer }, { data, erasedBy }, position, place) {
      if (id === pending?.event_id) pendingAt = position
      const at = { segment: place.segment, offset: place.offset }
      for (const part of erasedPartsOf) {
        const namedBy = erasedBy[part]
        if (namedBy !== null) erased.set(`${id} ${part}`, { namedBy, position, place: at })
      }
      for (const { id: target, parts } of erasuresTold(writer, data?.bytes ?? null)) {
        for (const part of parts) {
          const known = told.get(`${target} ${part}`)
          if (known === undefined) told.set(`${target} ${part}`, { by: [position], place: at })
          else known.by.push(position)
        }
      }
    },
    end(tell) {
      for (const [what, { namedBy, position, place }] of erased) {
        const part = what.split(' ')[1] ?? ''
        if (namedBy === unnamedMark && pendingAt !== undefined) continue
        if (told.get(what)?.by.includes(namedBy) !== true)
          tell(place, position, `its ${part} is erased, and no event at ${namedBy} tells of it`)
      }
      for (const [what, { by, place }] of told) {
        const [id, part] = what.split(' ')
        if (erased.has(what) || by.every((position) => position === pendingAt)) continue
        tell(place, by[0] ?? 0, `it tells that the ${part} of ${id} is erased, which it is not`)
      }
    },
  }
}
