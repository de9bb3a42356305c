import { EvidenceError } from '../contracts/errors.js'
import { readData, type DataOf } from '../contracts/event.js'
import { sealDelayMsMax, sealLeavesMax } from '../contracts/heads.js'
import type { Leaf } from '../contracts/leaf.js'
import { headsSealed } from '../contracts/ledger.js'
import { textOf } from './encoding.js'
import type { EventReader, RecordedEvent } from './event-store.js'
import type { Sha256 } from './merkle.js'
import { ledgerProject, ledgerStreamOf } from './stream-name.js'

/** A seal on the ledger: the map of the leaves below `size` had this root. */
export interface Seal {
  readonly position: number
  readonly size: number
  readonly root: string
  readonly streams: number
  /** The seal before this one. */
  readonly previous: DataOf<typeof headsSealed>['previous']
}

export interface SealRule {
  readonly leavesMax: number
  readonly delayMsMax: number
  /** Leaves that may be appended while a seal is made; with more, they are taken in too. */
  readonly lagMax?: number
}

export const sealRule: SealRule = { leavesMax: sealLeavesMax, delayMsMax: sealDelayMsMax }

/**
 * Whether a seal is due. `oldestMs` is the ledger time of the first leaf since the last seal that is
 * not the ledger's own; without one the ledger is idle and nothing is sealed.
 */
export const isSealDue = (
  rule: SealRule,
  since: { readonly leaves: number; readonly oldestMs: number | undefined },
  nowMs: number,
): boolean =>
  since.oldestMs !== undefined &&
  (since.leaves >= rule.leavesMax || nowMs - since.oldestMs >= rule.delayMsMax)

/** Whether a leaf is one that the ledger itself sealed its heads with; others only look like it. */
export const isSealLeaf = (sha256: Sha256, origin: string, leaf: Leaf): boolean =>
  leaf.type === headsSealed.type &&
  leaf.writer === headsSealed.writer &&
  leaf.project === ledgerProject &&
  leaf.stream === ledgerStreamOf(sha256, origin)

/** The data of a seal, whose digest was checked. @throws EvidenceError EVENT_INVALID, EVENT_VERSION_UNKNOWN, PROOF_MALFORMED. */
export function sealOf(leaf: Leaf, position: number, data: Uint8Array): Seal {
  let json: unknown
  try {
    json = JSON.parse(textOf(data))
  } catch (cause) {
    throw new EvidenceError('EVENT_INVALID', 'the data of the seal is not JSON', { cause })
  }
  const read = readData(headsSealed, leaf.version, json)
  return { ...read, position, size: Number(read.size), streams: Number(read.streams) }
}

/** The last seal on the ledger at a position below `below`; undefined when there is none. */
export async function lastSeal(
  sha256: Sha256,
  origin: string,
  reader: Pick<EventReader, 'readLog'>,
  below?: number,
): Promise<{ readonly event: RecordedEvent; readonly seal: Seal } | undefined> {
  if (below === 0) return undefined
  const filter = { project: ledgerProject, types: [headsSealed.type] }
  for await (const event of reader.readLog({
    direction: 'backwards',
    filter,
    ...(below === undefined ? {} : { from: below - 1 }),
  })) {
    if (event.data === null || !isSealLeaf(sha256, origin, event.leaf)) continue
    return { event, seal: sealOf(event.leaf, event.position, event.data.bytes) }
  }
  return undefined
}
