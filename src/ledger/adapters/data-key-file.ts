import { randomFillSync } from 'node:crypto'
import { dirname } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import type { erasedPartsOf } from '../../contracts/erasure.js'
import { appendDurably, type FilePort, isUndoneDiskFull, type LedgerFile } from './file-port.js'

type Part = (typeof erasedPartsOf)[number]

/** The keys of one event, one for each part; null once erased. */
export interface DataKeys {
  readonly data: Uint8Array | null
  readonly metadata: Uint8Array | null
}

export interface NewDataKeys {
  /** Place of the keys in the file, by which the event names them. */
  readonly slot: number
  readonly data: Uint8Array
  readonly metadata: Uint8Array
}

/**
 * The keys under which payloads stand outside the data folder. Without its key such a payload is nothing: so
 * erasing the key here erases every copy there.
 */
export interface DataKeyFile {
  /** Draws keys for these events; when it resolves they are durable. */
  add(ids: readonly string[]): Promise<readonly NewDataKeys[]>
  /** The keys of an event; undefined when the file has none for it at that place. */
  read(slot: number, id: string): Promise<DataKeys | undefined>
  /** When it resolves, the keys of these parts are overwritten and synced. */
  erase(slot: number, id: string, parts: readonly Part[]): Promise<void>
  close(): Promise<void>
}

const header = Buffer.from('fractalops/data-keys/1\n'.padEnd(32, '\0'), 'latin1')
const idBytes = 16
const keyBytes = 32
const slotBytes = idBytes + 2 * keyBytes
const keyAt = { data: idBytes, metadata: idBytes + keyBytes } as const

const idOf = (id: string): Buffer => Buffer.from(id.replaceAll('-', ''), 'hex')
const offsetOf = (slot: number): number => header.length + slot * slotBytes

interface Waiting {
  readonly ids: readonly string[]
  readonly resolve: (keys: readonly NewDataKeys[]) => void
  readonly reject: (error: unknown) => void
}

/** Opens the file, or creates it. @throws EvidenceError KEY_FILE_INVALID. */
export async function openDataKeyFile(files: FilePort, path: string): Promise<DataKeyFile> {
  const file = await openOrCreate(files, path)
  // Keys that were half written when the last process ended belong to no event: their place is used again.
  let slots = Math.floor((Math.max(await file.size(), header.length) - header.length) / slotBytes)
  let waiting: Waiting[] = []
  let running: Promise<void> | null = null
  /** Set when nobody can say any more what is on disk. */
  let failure: Error | null = null

  const write = async () => {
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      const count = group.reduce((sum, { ids }) => sum + ids.length, 0)
      const bytes = randomFillSync(Buffer.alloc(count * slotBytes))
      group
        .flatMap(({ ids }) => ids)
        .forEach((id, i) => {
          idOf(id).copy(bytes, i * slotBytes)
        })
      try {
        if (failure !== null) throw failure
        await appendDurably(file, bytes, offsetOf(slots))
      } catch (cause) {
        if (cause instanceof Error && !isUndoneDiskFull(cause)) failure = cause
        const error = notKept(cause)
        for (const { reject } of group) reject(error)
        continue
      }
      let at = 0
      for (const { ids, resolve } of group)
        resolve(
          ids.map(() => {
            const from = at * slotBytes
            const keys = keysIn(bytes.subarray(from, from + slotBytes))
            return { slot: slots + at++, ...keys }
          }),
        )
      slots += count
    }
    running = null
  }

  const readSlot = async (slot: number): Promise<Buffer | undefined> => {
    const bytes = Buffer.alloc(slotBytes)
    return (await file.read(bytes, offsetOf(slot))) === slotBytes ? bytes : undefined
  }

  return {
    add: (ids) =>
      new Promise((resolve, reject) => {
        waiting.push({ ids, resolve, reject })
        running ??= write()
      }),
    async read(slot, id) {
      const bytes = await readSlot(slot)
      if (bytes === undefined || !bytes.subarray(0, idBytes).equals(idOf(id))) return undefined
      const { data, metadata } = keysIn(bytes)
      return { data: unlessErased(data), metadata: unlessErased(metadata) }
    },
    async erase(slot, id, parts) {
      const bytes = await readSlot(slot)
      if (bytes === undefined || !bytes.subarray(0, idBytes).equals(idOf(id))) return
      for (const part of parts)
        await file.write(Buffer.alloc(keyBytes), offsetOf(slot) + keyAt[part])
      await file.sync()
    },
    async close() {
      await running
      await file.close()
    },
  }
}

const keysIn = (bytes: Buffer) => ({
  data: Uint8Array.from(bytes.subarray(keyAt.data, keyAt.data + keyBytes)),
  metadata: Uint8Array.from(bytes.subarray(keyAt.metadata, keyAt.metadata + keyBytes)),
})

const unlessErased = (key: Uint8Array): Uint8Array | null =>
  key.every((byte) => byte === 0) ? null : key

async function openOrCreate(files: FilePort, path: string): Promise<LedgerFile> {
  const mode = await files.modeOf(path)
  if (mode === undefined) {
    const made = await files.open(path, 'create')
    await made.write(header, 0)
    await made.sync()
    await files.syncFolder(dirname(path))
    return made
  }
  const file = await files.open(path, 'write')
  const start = Buffer.alloc(header.length)
  if ((await file.read(start, 0)) === header.length && start.equals(header)) return file
  await file.close()
  throw new EvidenceError('KEY_FILE_INVALID', `${path} is not a file of data keys`)
}

const notKept = (cause: unknown) =>
  isUndoneDiskFull(cause)
    ? new EvidenceError('DISK_FULL', 'there is no space for the data keys of new events', { cause })
    : new EvidenceError(
        'LEDGER_READ_ONLY',
        'data keys could not be made durable: the ledger takes no more events until it is started again',
        { cause },
      )
