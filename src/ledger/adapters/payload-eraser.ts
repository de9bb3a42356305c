import { EvidenceError } from '../../contracts/errors.js'
import { type Erasures, erasedPartsOf } from '../../contracts/erasure.js'
import { erasuresTold, type PayloadEraser } from '../erasure.js'
import type { AppendRequest, Receipt, RecordedEvent } from '../event-store.js'
import { carryOutErasure, readPayloadBlock } from './erasure-recovery.js'
import { isSystemError, type LedgerFile } from './file-port.js'
import { decodePayload, isFlaw, type Payload } from './journal-format.js'
import type { JournalIndex } from './journal-index.js'
import type { PatchedFiles } from './patched-files.js'
import { type ErasureTarget, removePendingErasure, writePendingErasure } from './pending-erasure.js'
import { damaged, type Segment } from './segments.js'

export interface EraserOptions {
  readonly folder: string
  readonly patched: PatchedFiles
  readonly index: JournalIndex
  readonly segments: readonly Segment[]
  readonly readEvent: (position: number) => Promise<RecordedEvent>
  readonly append: (request: AppendRequest) => Promise<readonly Receipt[]>
  /** Why nothing is appended any more, or null. */
  readonly sealed: () => EvidenceError | null
  readonly onFailure: (reason: EvidenceError) => void
}

/**
 * Erases one event's worth of payloads after the other. The order, and what a crash leaves:
 *
 * 1. a note of what is to be erased, and of the id of the event that will tell of it, is durable:
 *    a start that does not find the event throws the note away;
 * 2. the event is durable: from here on every start finishes;
 * 3. each payload block is overwritten and synced; a torn one is known by the note;
 * 4. the note is removed: a start that still finds it overwrites the same bytes again.
 */
export function createPayloadEraser(
  options: EraserOptions,
): PayloadEraser & { end(): Promise<void> } {
  let last: Promise<unknown> = Promise.resolve()
  return {
    erase(request) {
      const next = last.then(() => eraseNow(request, options))
      last = next.catch(() => undefined)
      return next
    },
    async end() {
      await last
    },
  }
}

async function eraseNow(request: AppendRequest, options: EraserOptions): Promise<Receipt> {
  const { folder, patched, sealed } = options
  const [draft, ...others] = request.events
  const told = draft === undefined ? [] : erasuresTold(draft.writer, draft.data)
  if (draft === undefined || others.length > 0 || told.length === 0)
    throw refused('it must be one event that tells of erasures', '/events')
  const closed = sealed()
  if (closed !== null) throw closed
  const targets = await targetsOf(told, options).catch(failedBefore)
  const note = { event_id: draft.id, targets }
  await writePendingErasure(patched.files, folder, note).catch(failedBefore)
  const receipt = await appendTold(request, options)
  try {
    await carryOutErasure(patched, folder, targets, receipt.position ?? 0)
    await removePendingErasure(patched.files, folder)
  } catch (cause) {
    const reason = new EvidenceError(
      'LEDGER_READ_ONLY',
      `the event ${draft.id} is recorded, but what it erases could not be overwritten: the next start finishes it`,
      { cause },
    )
    options.onFailure(reason)
    throw reason
  }
  return receipt
}

async function appendTold(request: AppendRequest, options: EraserOptions): Promise<Receipt> {
  const { append, folder, patched, sealed } = options
  try {
    const [receipt] = await append(request)
    if (receipt === undefined) throw new RangeError('an append answered no receipt')
    return receipt
  } catch (error) {
    // Refused for sure, the note has no meaning; where a write failed the next start must judge.
    if (sealed() === null) await removePendingErasure(patched.files, folder).catch(failedBefore)
    throw error
  }
}

/** Where the named payloads stand, and what each block is to hold afterwards. */
async function targetsOf(
  told: Erasures,
  { index, segments, readEvent }: EraserOptions,
): Promise<ErasureTarget[]> {
  const targets = new Map<number, ErasureTarget>()
  for (const { id, parts } of told) {
    const position = await index.positionOf(id)
    if (position === undefined)
      throw new EvidenceError('EVENT_NOT_FOUND', `there is no event ${id} to erase`)
    const { leaf, data } = await readEvent(position)
    if (leaf.writer === 'ledger')
      throw refused(`${leaf.type} is the ledger's own and is never erased`, '/events/0/data')
    const isTelling = erasuresTold(leaf.writer, data?.bytes ?? null).length > 0
    if (isTelling && parts.includes('data'))
      throw refused(`the event ${id} tells of an erasure and must stay`, '/events/0/data')
    const [place] = await index.placesOf([position])
    const { name, file } = segments[place?.segment ?? -1] ?? {}
    if (place === undefined || name === undefined || file === undefined)
      throw new RangeError('a position lies in no segment')
    const payload = await readWhole(file, name, place.offset)
    const wanted = new Set([...partsOf(targets.get(position)), ...parts])
    targets.set(position, {
      position,
      segment: name,
      offset: place.offset,
      data: payload.erasedBy.data ?? (wanted.has('data') ? 'erase' : 'keep'),
      data_bytes: payload.lengths.data,
      metadata: payload.erasedBy.metadata ?? (wanted.has('metadata') ? 'erase' : 'keep'),
      metadata_bytes: payload.lengths.metadata,
    })
  }
  return [...targets.values()]
}

/** The block as it stands before anything is overwritten. */
async function readWhole(file: LedgerFile, segment: string, offset: number): Promise<Payload> {
  const { block, payloadAt } = await readPayloadBlock(file, segment, offset)
  const payload = decodePayload(block)
  if (isFlaw(payload)) throw damaged(segment, payloadAt, payload.flaw)
  return payload
}

const partsOf = (target: ErasureTarget | undefined) =>
  erasedPartsOf.filter((part) => target?.[part] === 'erase')

const refused = (detail: string, pointer: string) =>
  new EvidenceError('REQUEST_INVALID', `nothing is erased: ${detail}`, {
    fields: [{ pointer, detail }],
  })

/** Nothing has happened yet, and the next try writes the note anew. */
function failedBefore(cause: unknown): never {
  if (cause instanceof EvidenceError) throw cause
  throw isSystemError(cause, 'ENOSPC') || isSystemError(cause, 'EDQUOT')
    ? new EvidenceError('DISK_FULL', 'there is no space for the note of the erasure', { cause })
    : new EvidenceError('LEDGER_READ_ONLY', 'the erasure could not be noted: nothing was erased', {
        cause,
      })
}
