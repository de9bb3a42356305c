import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createHeadsMap } from '../heads-map.js'
import { nodeCrypto } from '../node-crypto.js'
import { createSealReplay, type ReplayedLeaf } from '../seal-replay.js'
import type { FilePort } from './file-port.js'
import { openHeadsStore } from './heads-store.js'

/** Compares every seal of a journal with the map of its leaves, in bounded memory. */
export interface SealCheck {
  /** `segment` and `offset` say where the event stands. */
  add(event: ReplayedLeaf, place: Place): void
  gap(): void
  compare(tell: (place: Place, position: number, flaw: string) => void): Promise<void>
  readonly seals: number
  /** Removes what was kept outside of memory meanwhile. */
  close(): Promise<void>
}

interface Place {
  readonly segment: string
  readonly offset: number
}

export async function createSealCheck(files: FilePort, origin: string): Promise<SealCheck> {
  const path = join(tmpdir(), `fractalops-heads-${randomBytes(8).toString('hex')}`)
  const store = await openHeadsStore({ files, origin, path })
  const map = createHeadsMap({ sha256: nodeCrypto.sha256, store, nextTurn: () => nextTurn() })
  const replay = createSealReplay(nodeCrypto.sha256, origin, map)
  // Places of the seals that wait to be compared; everything else is needed once only.
  let places = new Map<number, Place>()
  return {
    get seals() {
      return replay.seals
    },
    add(event, place) {
      replay.add(event)
      if (event.leaf.writer === 'ledger') places.set(event.position, place)
    },
    gap: () => replay.gap(),
    async compare(tell) {
      await replay.compare((position, flaw) => {
        const place = places.get(position)
        if (place !== undefined) tell(place, position, flaw)
      })
      places = new Map()
    },
    close: () => store.clear(),
  }
}
