import { EvidenceError } from '../contracts/errors.js'
import { utf8 } from './encoding.js'
import { entryBytesMax } from './tiles.js'

/** What C2SP tlog-tiles can carry. */
export const rawLeafBytesMax = entryBytesMax

/** How every leaf of an event begins, in this and any later form. */
const eventMark = utf8('fractalops/leaf/')

/**
 * Appends leaves that are no events, in a ledger that was created for interoperability. They have a
 * place in the tree and nothing else: no id, no stream, no reader but the tiles.
 */
export interface RawLeafWriter {
  /**
   * Answers the position once the leaf is durable. The same leaf again is another leaf.
   *
   * @throws EvidenceError REQUEST_INVALID, REQUEST_TOO_LARGE, LEDGER_BUSY, LEDGER_READ_ONLY, DISK_FULL.
   */
  addRaw(leaf: Uint8Array): Promise<number>
}

/** Whether these bytes begin like the leaf of an event: then they are never a raw leaf. */
export const beginsLikeEvent = (leaf: Uint8Array): boolean =>
  eventMark.every((byte, at) => leaf[at] === byte)

/** @throws EvidenceError REQUEST_INVALID, REQUEST_TOO_LARGE. */
export function checkRawLeaf(leaf: Uint8Array): void {
  if (leaf.length === 0) throw new EvidenceError('REQUEST_INVALID', 'a raw leaf holds a byte')
  if (leaf.length > rawLeafBytesMax)
    throw new EvidenceError(
      'REQUEST_TOO_LARGE',
      `a raw leaf holds at most ${rawLeafBytesMax} bytes, this one has ${leaf.length}`,
    )
  if (beginsLikeEvent(leaf))
    throw new EvidenceError('REQUEST_INVALID', 'a raw leaf must not begin like that of an event')
}
