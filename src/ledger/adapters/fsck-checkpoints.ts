import { join } from 'node:path'
import { type Checkpoint, parseSignedCheckpoint } from '../checkpoint.js'
import { nodeCrypto } from '../node-crypto.js'
import { parseVkey, verifyNote } from '../note.js'
import type { FilePort } from './file-port.js'
import { checkpointsFile, readFrames } from './kept-checkpoints.js'
import type { LedgerIdentity } from './ledger-folder.js'

/** Names one damaged place of a file of the ledger. */
export type Tell = (segment: string, offset: number, position: number | null, flaw: string) => void

export interface PlacedCheckpoint extends Checkpoint {
  readonly offset: number
}

/** Every kept checkpoint that reads and verifies; tells of the others. */
export async function readKept(
  files: FilePort,
  folder: string,
  identity: LedgerIdentity,
  tell: Tell,
): Promise<readonly PlacedCheckpoint[]> {
  const keys = identity.keys.map((vkey) => parseVkey(nodeCrypto.sha256, vkey))
  const { frames, tail } = readFrames(
    Buffer.from((await files.readWhole(join(folder, checkpointsFile))) ?? []),
  )
  if (tail.kind === 'damaged') {
    tell(
      checkpointsFile,
      tail.offset,
      null,
      'a kept checkpoint does not match its checksum; those behind it were not read',
    )
  }
  const kept: PlacedCheckpoint[] = []
  for (const { offset, note } of frames) {
    try {
      const { note: signed, checkpoint } = parseSignedCheckpoint(note)
      verifyNote(nodeCrypto, signed, keys)
      if (checkpoint.origin !== identity.origin)
        tell(checkpointsFile, offset, null, `it is a checkpoint of ${checkpoint.origin}`)
      if (checkpoint.size < (kept.at(-1)?.size ?? 0))
        tell(checkpointsFile, offset, null, 'it is smaller than the checkpoint before')
      else kept.push({ ...checkpoint, offset })
    } catch (error) {
      tell(checkpointsFile, offset, null, error instanceof Error ? error.message : String(error))
    }
  }
  return kept
}
