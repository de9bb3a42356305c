import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createHeadsMap } from '../heads-map.js'
import { nodeCrypto } from '../node-crypto.js'
import { createSealReplay, type PreviousSeal, type ReplayedLeaf } from '../seal-replay.js'
import type { FilePort } from './file-port.js'
import { openHeadsStore } from './heads-store.js'

/** Compares every seal of a journal with the map of its leaves, in bounded memory. */
export interface SealCheck {
  /** `segment` and `offset` say where the event stands. */
  add(event: ReplayedLeaf, place: Place): void
  /** Takes an event up to which all was compared before. */
  remember(event: Omit<ReplayedLeaf, 'data'>): void
  gap(): void
  compare(tell: (place: Place, position: number, flaw: string) => void): Promise<void>
  readonly seals: number
  state(): SealState
  /** Ends it; `keep` leaves what was kept outside of memory for a check that goes on from it. */
  close(keep?: boolean): Promise<void>
}

/** What a check that goes on must know of the seals before. */
export interface SealState {
  readonly seals: number
  readonly previous: PreviousSeal | null
  /** The kept map is that of the leaves below this position. */
  readonly kept: number
}

interface Place {
  readonly segment: string
  readonly offset: number
}

export interface SealCheckOptions {
  readonly files: FilePort
  readonly origin: string
  /** File for what is kept outside of memory; absent = a temporary one. */
  readonly path?: string
  /** What an earlier check left; undefined begins anew. */
  readonly before?: SealState | undefined
}

/** Answers undefined when what an earlier check left cannot be gone on with. */
export async function createSealCheck(options: SealCheckOptions): Promise<SealCheck | undefined> {
  const { files, origin, before } = options
  const path = options.path ?? join(tmpdir(), `fractalops-heads-${randomBytes(8).toString('hex')}`)
  const store = await openHeadsStore({ files, origin, path })
  if (before === undefined) await store.clear()
  if ((store.kept()?.position ?? 0) !== (before?.kept ?? 0)) {
    await store.close()
    return undefined
  }
  const map = createHeadsMap({ sha256: nodeCrypto.sha256, store, nextTurn: () => nextTurn() })
  const { seals = 0, previous = null } = before ?? {}
  const replay = createSealReplay(nodeCrypto.sha256, origin, map, {
    seals,
    previous: previous ?? undefined,
  })
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
    remember: (event) => replay.remember(event),
    gap: () => replay.gap(),
    async compare(tell) {
      await replay.compare((position, flaw) => {
        const place = places.get(position)
        if (place !== undefined) tell(place, position, flaw)
      })
      places = new Map()
    },
    state: () => ({
      seals: replay.seals,
      previous: replay.previous ?? null,
      kept: store.kept()?.position ?? 0,
    }),
    close: (keep = false) => (keep ? store.close() : store.clear()),
  }
}
