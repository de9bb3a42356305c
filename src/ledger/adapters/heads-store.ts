import { dirname } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { type Head, headHashBytes, type Subheads } from '../heads.js'
import { type HeadBucket, HeadsDamaged, type HeadsStore, type KeptHeads } from '../heads-map.js'
import type { FilePort, LedgerFile } from './file-port.js'
import { originMarkOf } from './segments.js'

export const headsFile = 'heads'

const magic = Buffer.from('FLHEADS1', 'latin1')
const formatVersion = 1
const headerBytes = 64
const entryBytes = 41
const headBytes = 72
const bucketBitsMax = 24
const writeBytes = 1024 * 1024
const holdings = ['none', 'one', 'more'] as const

interface Opened {
  readonly file: LedgerFile
  readonly kept: KeptHeads
}

/**
 * The heads of a map in one file that is replaced as a whole (docs/journal-format.md). `from` is read
 * at first when it is another file than `path`, which alone is written.
 */
export async function openHeadsStore({
  files,
  origin,
  path,
  from = path,
}: {
  readonly files: FilePort
  readonly origin: string
  readonly path: string
  readonly from?: string
}): Promise<HeadsStore> {
  let opened = await openHeads(files, from, origin)
  const close = async () => {
    const { file } = opened ?? {}
    opened = undefined
    await file?.close()
  }
  return {
    kept: () => opened?.kept,
    async keep(about, buckets) {
      const beside = `${path}.new`
      await files.remove(beside)
      await writeHeads(files, beside, origin, about, buckets)
      // Until here a crash leaves the file as it was; from here on the new one.
      await files.rename(beside, path)
      await files.syncFolder(dirname(path))
      await close()
      opened = await openHeads(files, path, origin)
    },
    async clear() {
      await close()
      await files.remove(path)
    },
    close,
  }
}

/** Undefined when there is no such file, or none that can be used: the map is then made anew. */
async function openHeads(
  files: FilePort,
  path: string,
  origin: string,
): Promise<Opened | undefined> {
  const folder = await files.list(dirname(path))
  if (!folder.some((name) => path.endsWith(`/${name}`))) return undefined
  const file = await files.open(path, 'read')
  const kept = await readKept(file, origin).catch(async (error: unknown) => {
    await file.close()
    throw error
  })
  if (kept === undefined) await file.close()
  return kept === undefined ? undefined : { file, kept }
}

async function readKept(file: LedgerFile, origin: string): Promise<KeptHeads | undefined> {
  const header = Buffer.alloc(headerBytes)
  if ((await file.read(header, 0)) < headerBytes || !header.subarray(0, 8).equals(magic))
    return undefined
  const bucketBits = header.readUInt32LE(12)
  if (
    header.readUInt32LE(60) !== crc32c(header.subarray(0, 60)) ||
    header.readUInt32LE(8) !== formatVersion ||
    !header.subarray(40, 56).equals(originMarkOf(origin)) ||
    bucketBits > bucketBitsMax
  )
    return undefined
  const index = Buffer.alloc(2 ** bucketBits * entryBytes)
  const got = await file.read(index, headerBytes)
  if (got < index.length || crc32c(index) !== header.readUInt32LE(56)) return undefined
  const heads = Number(header.readBigUInt64LE(32))
  if ((await file.size()) !== headerBytes + index.length + heads * headBytes) return undefined
  const starts = startsOf(index, 2 ** bucketBits)
  return {
    position: Number(header.readBigUInt64LE(16)),
    streams: Number(header.readBigUInt64LE(24)),
    heads,
    bucketBits,
    subheads(bucket) {
      const at = bucket * entryBytes
      return {
        hash: index.subarray(at + 5, at + 5 + headHashBytes),
        holds: holdings[index.readUInt8(at + 4)] ?? 'none',
      }
    },
    async bucket(bucket) {
      const entry = index.subarray(bucket * entryBytes, (bucket + 1) * entryBytes)
      const bytes = Buffer.alloc(entry.readUInt32LE(0) * headBytes)
      const read = await file.read(bytes, headerBytes + index.length + (starts[bucket] ?? 0))
      if (read < bytes.length || crc32c(bytes) !== entry.readUInt32LE(37))
        throw new HeadsDamaged(`bucket ${bucket} does not match its checksum`)
      return headsOf(bytes)
    },
  }
}

/** Where each bucket begins behind the index. */
function startsOf(index: Buffer, buckets: number): Float64Array {
  const starts = new Float64Array(buckets)
  let at = 0
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    starts[bucket] = at
    at += index.readUInt32LE(bucket * entryBytes) * headBytes
  }
  return starts
}

function headsOf(bytes: Buffer): Head[] {
  const heads: Head[] = []
  for (let at = 0; at < bytes.length; at += headBytes) {
    heads.push({
      key: bytes.subarray(at, at + 32),
      number: Number(bytes.readBigUInt64LE(at + 32)),
      leafHash: bytes.subarray(at + 40, at + headBytes),
    })
  }
  return heads
}

function bytesOf(heads: readonly Head[]): Buffer {
  const bytes = Buffer.alloc(heads.length * headBytes)
  heads.forEach(({ key, number, leafHash }, i) => {
    const at = i * headBytes
    bytes.set(key, at)
    bytes.writeBigUInt64LE(BigInt(number), at + 32)
    bytes.set(leafHash, at + 40)
  })
  return bytes
}

async function writeHeads(
  files: FilePort,
  path: string,
  origin: string,
  about: Pick<KeptHeads, 'position' | 'streams' | 'bucketBits'>,
  buckets: AsyncIterable<HeadBucket>,
): Promise<void> {
  const index = Buffer.alloc(2 ** about.bucketBits * entryBytes)
  const file = await files.open(path, 'create')
  try {
    let end = headerBytes + index.length
    let waiting: Buffer[] = []
    let waitingBytes = 0
    const write = async () => {
      await file.write(Buffer.concat(waiting), end)
      end += waitingBytes
      waiting = []
      waitingBytes = 0
    }
    let bucket = 0
    let heads = 0
    for await (const { heads: own, subheads } of buckets) {
      const bytes = bytesOf(own)
      writeEntry(index, bucket, own.length, subheads, crc32c(bytes))
      bucket += 1
      heads += own.length
      waiting.push(bytes)
      waitingBytes += bytes.length
      if (waitingBytes >= writeBytes) await write()
    }
    await write()
    await file.write(index, headerBytes)
    await file.write(headerOf(origin, { ...about, heads }, crc32c(index)), 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

function writeEntry(
  index: Buffer,
  bucket: number,
  count: number,
  { hash, holds }: Subheads,
  checksum: number,
) {
  const at = bucket * entryBytes
  index.writeUInt32LE(count, at)
  index.writeUInt8(holdings.indexOf(holds), at + 4)
  index.set(hash, at + 5)
  index.writeUInt32LE(checksum, at + 37)
}

function headerOf(
  origin: string,
  about: Pick<KeptHeads, 'position' | 'streams' | 'heads' | 'bucketBits'>,
  indexChecksum: number,
): Buffer {
  const header = Buffer.alloc(headerBytes)
  magic.copy(header)
  header.writeUInt32LE(formatVersion, 8)
  header.writeUInt32LE(about.bucketBits, 12)
  header.writeBigUInt64LE(BigInt(about.position), 16)
  header.writeBigUInt64LE(BigInt(about.streams), 24)
  header.writeBigUInt64LE(BigInt(about.heads), 32)
  header.set(originMarkOf(origin), 40)
  header.writeUInt32LE(indexChecksum, 56)
  header.writeUInt32LE(crc32c(header.subarray(0, 60)), 60)
  return header
}
