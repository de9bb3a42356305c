import { join } from 'node:path'
import { hexOf, textOf, utf8 } from '../encoding.js'
import { nodeCrypto } from '../node-crypto.js'
import type { WitnessState } from '../witness.js'
import { type FilePort, nodeFiles, replaceFile } from './file-port.js'
import { lockFolder } from './folder-lock.js'

/** The name under which monitors ask for an origin. */
export const originHash = (origin: string): string => hexOf(nodeCrypto.sha256(utf8(origin)))

/** The state of a witness in a folder that no other process uses. */
export interface WitnessFolder extends WitnessState {
  /** As `seen`, for an origin that is known by its hash alone. */
  seenByHash(hash: string): Promise<string | undefined>
  close(): Promise<void>
}

/**
 * Opens the folder: one file per log, replaced as a whole, so that a crash leaves what was seen
 * before or what was seen now. Nothing is held in memory: what the disk says is what was seen.
 *
 * @throws EvidenceError LEDGER_LOCKED.
 */
export async function openWitnessState(
  folder: string,
  files: FilePort = nodeFiles,
): Promise<WitnessFolder> {
  await files.createFolder(folder)
  const lock = await lockFolder(folder, 'exclusive')
  const pathOf = (hash: string) => join(folder, `${hash}.checkpoint`)
  const seenByHash = async (hash: string) => {
    const bytes = await files.readWhole(pathOf(hash))
    return bytes === undefined ? undefined : textOf(bytes)
  }
  return {
    seenByHash,
    seen: (origin) => seenByHash(originHash(origin)),
    replace: (origin, note) => replaceFile(files, pathOf(originHash(origin)), utf8(note)),
    close: () => lock.release(),
  }
}
