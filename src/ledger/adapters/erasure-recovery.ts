import { join } from 'node:path'
import { checkDigests } from './fsck-chain.js'
import { type FilePort, isSystemError, type LedgerFile } from './file-port.js'
import {
  decodeLeaf,
  decodePayload,
  decodeRecordHeader,
  erasedPayload,
  isFlaw,
  recordHeaderBytes,
} from './journal-format.js'
import type { JournalIndex } from './journal-index.js'
import type { PatchedFiles } from './patched-files.js'
import {
  type ErasureTarget,
  type PendingErasure,
  readPendingErasure,
  removePendingErasure,
} from './pending-erasure.js'
import { trustedLeaf } from './recovery.js'
import { damaged, segmentsFolder } from './segments.js'

/** Stands in the patch over a torn block until the event that tells of the erasure is found. */
export const unnamedMark = Number.MAX_SAFE_INTEGER

export interface PayloadPlace {
  /** Text of the leaf. */
  readonly leaf: string
  readonly payloadAt: number
  readonly block: Buffer
}

/** The payload block of the record at `offset`, whatever state it is in. @throws EvidenceError JOURNAL_DAMAGED. */
export async function readPayloadBlock(
  file: LedgerFile,
  segment: string,
  offset: number,
): Promise<PayloadPlace> {
  const head = Buffer.alloc(recordHeaderBytes)
  const lengths = decodeRecordHeader(head.subarray(0, await file.read(head, offset)), 0)
  if (isFlaw(lengths)) throw damaged(segment, offset, lengths.flaw)
  const record = Buffer.alloc(recordHeaderBytes + lengths.leafBytes + lengths.payloadBytes)
  const got = await file.read(record, offset)
  const part = decodeLeaf(record.subarray(0, got), 0)
  if (isFlaw(part)) throw damaged(segment, offset, part.flaw)
  if (part.raw || part.end > got) throw damaged(segment, offset, 'there is no payload block')
  return {
    leaf: part.leaf.toString('utf8'),
    payloadAt: offset + part.payloadAt,
    block: record.subarray(part.payloadAt, part.end),
  }
}

const markOf = (part: ErasureTarget['data'], namedBy: number): number | null =>
  part === 'keep' ? null : part === 'erase' ? namedBy : part

/** The block as it is to be. @throws EvidenceError JOURNAL_DAMAGED when a part that stays is not what the leaf says. */
function erasedBlockOf(target: ErasureTarget, place: PayloadPlace, namedBy: number): Buffer {
  const erased = erasedPayload(
    place.block,
    { data: target.data_bytes, metadata: target.metadata_bytes },
    { data: markOf(target.data, namedBy), metadata: markOf(target.metadata, namedBy) },
  )
  const payload = decodePayload(erased)
  if (isFlaw(payload)) throw damaged(target.segment, place.payloadAt, payload.flaw)
  // The new checksum would cover up what else happened to the block.
  checkDigests(trustedLeaf(place.leaf), payload, (flaw) => {
    throw damaged(target.segment, place.payloadAt, flaw)
  })
  return erased
}

const pathOf = (folder: string, { segment }: ErasureTarget) => join(segmentsFolder(folder), segment)

/** Overwrites the targets, one synced after the other. Done again it writes the same bytes. */
export async function carryOutErasure(
  patched: PatchedFiles,
  folder: string,
  targets: readonly ErasureTarget[],
  namedBy: number,
): Promise<void> {
  for (const target of targets) {
    const path = pathOf(folder, target)
    // A file of its own: an error of this sync must not be taken for one of the appends, nor hide it.
    const file = await patched.files.open(path, 'write')
    try {
      const place = await readPayloadBlock(file, target.segment, target.offset)
      const erased = erasedBlockOf(target, place, namedBy)
      const settled = patched.patch(path, place.payloadAt, erased)
      // If we stop in here the block may be torn; the note says where and what it was to become.
      await file.write(erased, place.payloadAt)
      await file.sync()
      await settled()
    } finally {
      await file.close()
    }
  }
}

/** An erasure that the last stop left, from before the journal is read until it is settled. */
export interface OpenErasure {
  readonly pending: PendingErasure
  /** Finishes it, or throws it away when its event is not on the ledger. */
  settle(index: JournalIndex): Promise<void>
  /** The same for readers only: they see what a start would make of it. */
  show(index: JournalIndex): Promise<void>
}

/**
 * Looks for an unfinished erasure. Torn blocks are patched, so that the journal can be read; after
 * that it must be settled or shown.
 */
export async function findErasure(
  patched: PatchedFiles,
  folder: string,
): Promise<OpenErasure | undefined> {
  const { files } = patched
  const pending = await readPendingErasure(files, folder)
  if (pending === undefined) return undefined
  const torn: ErasureTarget[] = []
  const patches: (() => Promise<void>)[] = []
  const patch = async (target: ErasureTarget, namedBy: number, onlyTorn: boolean) => {
    const path = pathOf(folder, target)
    const file = await openSegment(files, path)
    if (file === undefined) return
    try {
      const place = await readPayloadBlock(file, target.segment, target.offset)
      if (onlyTorn && !isFlaw(decodePayload(place.block))) return
      if (onlyTorn) torn.push(target)
      patches.push(patched.patch(path, place.payloadAt, erasedBlockOf(target, place, namedBy)))
    } finally {
      await file.close()
    }
  }
  for (const target of pending.targets) await patch(target, unnamedMark, true)

  const namedBy = async (index: JournalIndex): Promise<number | undefined> => {
    const position = await index.positionOf(pending.event_id)
    const [first] = torn
    // Nothing is overwritten before the event is durable: so this is not the trace of an erasure.
    if (position === undefined && first !== undefined)
      throw damaged(
        first.segment,
        first.offset,
        'the payload block does not match its checksum, and no event tells of its erasure',
      )
    return position
  }
  return {
    pending,
    async settle(index) {
      const position = await namedBy(index)
      if (position !== undefined) await carryOutErasure(patched, folder, pending.targets, position)
      for (const settled of patches) await settled()
      await removePendingErasure(files, folder)
    },
    async show(index) {
      const position = await namedBy(index)
      if (position === undefined) return
      for (const target of pending.targets) await patch(target, position, false)
    },
  }
}

/** A segment that is missing is the journal's affair. */
async function openSegment(files: FilePort, path: string): Promise<LedgerFile | undefined> {
  try {
    return await files.open(path, 'read')
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
}
