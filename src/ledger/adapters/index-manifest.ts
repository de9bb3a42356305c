import { crc32c } from '@node-rs/crc32'
import { join } from 'node:path'
import * as z from 'zod'
import { type FilePort, replaceFile } from './file-port.js'
import { indexDamage } from './index-damage.js'
import { secretBytes } from './index-keys.js'

const manifestFile = 'manifest'
const magic = Buffer.from('FLINDEX1', 'latin1')
const headBytes = 16
const count = z.int().nonnegative()

/** What of the journal stands in the index: everything below `through`, a position at the end of a group. */
const Manifest = z.strictObject({
  through: count,
  origin: z.string(),
  /** Base64 of the secret behind the keys of this index. */
  secret: z.base64().refine((text) => Buffer.from(text, 'base64').length === secretBytes),
  /** The segments up to there, each with the nonce of its header and its length, the last up to `through`. */
  segments: z.array(z.strictObject({ name: z.string(), nonce: z.string(), bytes: count })),
  /** The last group before `through`: from here the journal is read again. */
  group: z.strictObject({ offset: count, position: count }),
  /** Ledger time of the last event in milliseconds, and whether an alarm about the clock stands. */
  last_time_ms: count,
  clock_alarm: z.boolean(),
  /** Names of the runs, oldest first. */
  runs: z.array(z.string()),
  next_run: count,
  /** Full tiles of each level of the tree, and the hashes behind them in base64. */
  edges: z.array(z.strictObject({ full: count, hashes: z.base64() })),
})
export type Manifest = Readonly<z.infer<typeof Manifest>>

/** Undefined when there is none. @throws EvidenceError INDEX_DAMAGED. */
export async function readManifest(files: FilePort, folder: string): Promise<Manifest | undefined> {
  const read = await files.readWhole(join(folder, manifestFile))
  if (read === undefined) return undefined
  const bytes = Buffer.from(read)
  if (
    bytes.length < headBytes ||
    !bytes.subarray(0, 8).equals(magic) ||
    bytes.readUInt32LE(8) !== bytes.length - headBytes ||
    bytes.readUInt32LE(12) !== crc32c(bytes.subarray(headBytes))
  )
    throw indexDamage(manifestFile, 0, 'it does not match its checksum')
  const parsed = Manifest.safeParse(JSON.parse(bytes.subarray(headBytes).toString('utf8')))
  if (!parsed.success) throw indexDamage(manifestFile, 0, 'this program does not read this form')
  return parsed.data
}

/** Replaces the manifest: from then on it is what the index holds. */
export async function writeManifest(
  files: FilePort,
  folder: string,
  manifest: Manifest,
): Promise<void> {
  const text = Buffer.from(JSON.stringify(manifest))
  const head = Buffer.alloc(headBytes)
  magic.copy(head, 0)
  head.writeUInt32LE(text.length, 8)
  head.writeUInt32LE(crc32c(text), 12)
  // The names of what the manifest speaks of must be durable before it is.
  await files.syncFolder(folder)
  await replaceFile(files, join(folder, manifestFile), Buffer.concat([head, text]))
}

/** Without it the index counts as missing, and the next start makes it anew. */
export async function dropManifest(files: FilePort, folder: string): Promise<void> {
  await files.remove(join(folder, manifestFile))
  await files.syncFolder(folder)
}
