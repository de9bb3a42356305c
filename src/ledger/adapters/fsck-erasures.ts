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
}

/** `pending` is the erasure that the last stop left; what it has not yet done is no flaw. */
export function createErasureCheck(pending: PendingErasure | undefined): ErasureCheck {
  const erased = new Map<string, { namedBy: number; position: number; place: Place }>()
  const told = new Map<string, { by: number[]; place: Place }>()
  let pendingAt: number | undefined

  return {
    add({ id, writer }, { data, erasedBy }, position, place) {
      if (id === pending?.event_id) pendingAt = position
      for (const part of erasedPartsOf) {
        const namedBy = erasedBy[part]
        if (namedBy !== null) erased.set(`${id} ${part}`, { namedBy, position, place })
      }
      for (const { id: target, parts } of erasuresTold(writer, data?.bytes ?? null)) {
        for (const part of parts) {
          const known = told.get(`${target} ${part}`)
          if (known === undefined) told.set(`${target} ${part}`, { by: [position], place })
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
