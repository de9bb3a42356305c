import { join } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import type { PublishedCheckpoint } from '../event-store.js'
import type { WitnessedStore } from '../witnessed.js'
import { type FilePort, nodeFiles } from './file-port.js'
import { type KeptCheckpoints, openKeptCheckpoints } from './kept-checkpoints.js'

export const witnessedFile = 'witnessed'

/**
 * Checkpoints with the cosignatures of their witnesses, in the form of the kept checkpoints. They
 * are evidence for others, never needed to open the ledger: a damaged file is set aside and
 * told of, and witnessing goes on in a new one.
 */
export async function openWitnessedStore(
  folder: string,
  origin: string,
  onDamage: (reason: EvidenceError) => void,
  files: FilePort = nodeFiles,
): Promise<WitnessedStore> {
  const open = () => openKeptCheckpoints(files, folder, origin, 'write', witnessedFile)
  const kept = await open().catch(async (error: unknown) => {
    if (!(error instanceof EvidenceError) || error.code !== 'JOURNAL_DAMAGED') throw error
    const path = join(folder, witnessedFile)
    await files.rename(path, `${path}.damaged`)
    onDamage(error)
    return open()
  })
  let latest: PublishedCheckpoint | undefined = kept.last
  return {
    latest: () => latest,
    covering: (position) => firstCovering(kept, position),
    async append(checkpoint) {
      await kept.append(checkpoint)
      latest = checkpoint
    },
    close: () => kept.close(),
  }
}

/** The first size that covers the position, with as many cosignatures as came for it. */
async function firstCovering(
  kept: KeptCheckpoints,
  position: number,
): Promise<PublishedCheckpoint | undefined> {
  let found: PublishedCheckpoint | undefined
  for await (const checkpoint of kept.after(position)) {
    if (found !== undefined && checkpoint.size > found.size) break
    found = checkpoint
  }
  return found
}
