import { join } from 'node:path'
import { type Checkpoint, parseSignedCheckpoint } from '../checkpoint.js'
import { nodeCrypto } from '../node-crypto.js'
import { verifyNote } from '../note.js'
import { keysAt } from '../signing-keys.js'
import type { FilePort, LedgerFile } from './file-port.js'
import type { Tell } from '../fsck-report.js'
import {
  checkpointsFile,
  framesOf,
  type KeptFrame,
  lastFrame,
  seekFrame,
} from './kept-checkpoints.js'
import type { LedgerIdentity } from './ledger-folder.js'

export interface PlacedCheckpoint extends Checkpoint {
  readonly offset: number
}

/** Goes through the checkpoints in a file, oldest first, one at a time. */
export interface CheckpointCursor {
  /** The next one to compare with the tree; undefined at the end. */
  readonly next: PlacedCheckpoint | undefined
  advance(): Promise<void>
  /** Checkpoints that read and verify, so far. */
  readonly count: number
  /** The size of the last one in the file that reads. */
  readonly lastSize: number
  close(): Promise<void>
}

export interface CursorOptions {
  readonly files: FilePort
  readonly folder: string
  /** Name of the file in the folder. */
  readonly name: string
  readonly identity: LedgerIdentity
  /** Those up to this size were compared before: they are passed over. */
  readonly after: number
  /** Whether those passed over are not read at all, nor counted. */
  readonly seek?: boolean
  readonly tell: Tell
}

/** Opens a file of checkpoints; tells of every one that does not read or verify. */
export async function openCheckpointCursor(options: CursorOptions): Promise<CheckpointCursor> {
  const { files, folder, name, identity, after } = options
  if (!(await files.list(folder)).includes(name)) return emptyCursor
  const file = await files.open(join(folder, name), 'read')
  const passed = options.seek === true ? after : 0
  const checkBridge = createBridgeCheck(identity.keys, passed)
  const tell = (offset: number, flaw: string) => options.tell(name, offset, null, flaw)
  const lastSize = await sizeOfLast(file)
  const from = passed > 0 ? await seekFrame(file, passed) : 0
  const frames = framesOf(
    file,
    ({ offset, kind }) => {
      if (kind === 'damaged') tell(offset, 'a kept checkpoint does not match its checksum')
    },
    from,
  )
  let next: PlacedCheckpoint | undefined
  let count = 0
  let size = 0

  const read = ({ offset, note }: KeptFrame): PlacedCheckpoint | undefined => {
    try {
      const { note: signed, checkpoint } = parseSignedCheckpoint(note)
      const isPassed = checkpoint.size <= after && after > 0
      const keys = keysAt(nodeCrypto.sha256, identity.keys, checkpoint.size)
      const signatures = isPassed
        ? signed.signatures.length
        : verifyNote(nodeCrypto, signed, keys).length
      if (name === checkpointsFile)
        checkBridge(checkpoint.size, signatures, (flaw) => tell(offset, flaw))
      if (checkpoint.origin !== identity.origin)
        tell(offset, `it is a checkpoint of ${checkpoint.origin}`)
      if (checkpoint.size < size) {
        tell(offset, 'it is smaller than the checkpoint before')
        return undefined
      }
      size = checkpoint.size
      count += 1
      return isPassed ? undefined : { ...checkpoint, offset }
    } catch (error) {
      tell(offset, error instanceof Error ? error.message : String(error))
      return undefined
    }
  }
  const advance = async () => {
    for (;;) {
      const step = await frames.next()
      next = undefined
      if (step.done === true) return
      next = read(step.value)
      if (next !== undefined) return
    }
  }
  await advance()
  return {
    get next() {
      return next
    },
    advance,
    get count() {
      return count
    },
    lastSize,
    close: () => file.close(),
  }
}

/** Where one key followed another, both signed a checkpoint before the later one signed any larger. */
function createBridgeCheck(keys: LedgerIdentity['keys'], passed: number) {
  // Those up to here were seen when the checkpoints were read that are passed over now.
  const before = keys.map(({ signingFrom }) => signingFrom).filter((size) => size <= passed)
  const bridged = new Set(before)
  return (size: number, signatures: number, tell: (flaw: string) => void) => {
    if (signatures > 1) bridged.add(size)
    for (const { vkey, signingFrom } of keys.slice(1)) {
      if (signingFrom >= size || bridged.has(signingFrom)) continue
      bridged.add(signingFrom)
      tell(`no checkpoint before it is signed by ${vkey} and the key that it followed`)
    }
  }
}

const emptyCursor: CheckpointCursor = {
  next: undefined,
  advance: async () => undefined,
  count: 0,
  lastSize: 0,
  close: async () => undefined,
}

async function sizeOfLast(file: LedgerFile): Promise<number> {
  const last = await lastFrame(file)
  try {
    return last === undefined ? 0 : parseSignedCheckpoint(last.note).checkpoint.size
  } catch {
    // Whoever comes to it in order tells why.
    return 0
  }
}
