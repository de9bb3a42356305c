import { dirname, join } from 'node:path'
import * as z from 'zod'
import { EvidenceError } from '../../contracts/errors.js'
import { erasureTargetsMax } from '../../contracts/erasure.js'
import { Uuid } from '../../contracts/identifiers.js'
import { type FilePort, replaceFile } from './file-port.js'

const Count = z.int().nonnegative()
/** What is to become of a part: kept, erased now, or erased before by the event at that position. */
const Part = z.union([z.literal('keep'), z.literal('erase'), Count])

/** One record whose payload block is overwritten; its lengths, because a torn block tells none. */
const Target = z.strictObject({
  position: Count,
  segment: z.string().regex(/^[0-9]{16}\.journal$/),
  offset: Count,
  data: Part,
  data_bytes: Count,
  metadata: Part,
  metadata_bytes: Count,
})
export type ErasureTarget = Readonly<z.infer<typeof Target>>

/** What `erasure` in the folder says: an erasure that may have begun and is not known to be done. */
const Pending = z.strictObject({
  format: z.literal('fractalops/erasure/1'),
  /** Id of the event that tells of it; without that event nothing may be erased. */
  event_id: Uuid,
  targets: z.array(Target).min(1).max(erasureTargetsMax),
})
export type PendingErasure = Readonly<z.infer<typeof Pending>>

export const pendingErasureFile = 'erasure'

/** @throws EvidenceError DATA_FOLDER_INVALID. */
export async function readPendingErasure(
  files: FilePort,
  folder: string,
): Promise<PendingErasure | undefined> {
  const path = join(folder, pendingErasureFile)
  const bytes = await files.readWhole(path)
  if (bytes === undefined) return undefined
  try {
    return Pending.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch (cause) {
    throw new EvidenceError('DATA_FOLDER_INVALID', `${path} is not the note of an erasure`, {
      cause,
    })
  }
}

export const writePendingErasure = (
  files: FilePort,
  folder: string,
  pending: Omit<PendingErasure, 'format'>,
): Promise<void> =>
  replaceFile(
    files,
    join(folder, pendingErasureFile),
    Buffer.from(`${JSON.stringify({ format: 'fractalops/erasure/1', ...pending })}\n`),
  )

export async function removePendingErasure(files: FilePort, folder: string): Promise<void> {
  const path = join(folder, pendingErasureFile)
  await files.remove(path)
  await files.syncFolder(dirname(path))
}
