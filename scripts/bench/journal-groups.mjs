// The groups that the ledger wrote, byte for byte, read back from its segments (docs/journal-format.md).
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

const headerBytes = 64
const frameBytes = 28
const replayBytesMax = 256 * 1024 * 1024

/** Groups from position `from` on, as many as fit in memory: how many events, and the bytes of one write. */
export async function journalGroups(folder, from) {
  const names = (await readdir(join(folder, 'journal')))
    .filter((name) => name.endsWith('.journal'))
    .sort()
  // The last segment that begins at or before `from`, and those behind it.
  const first = Math.max(
    0,
    names.findLastIndex((name) => Number.parseInt(name, 10) <= from),
  )
  const groups = []
  let bytes = 0
  for (const name of names.slice(first)) {
    const file = await open(join(folder, 'journal', name))
    const { size } = await file.stat()
    for (let at = headerBytes; at + frameBytes <= size && bytes < replayBytesMax;) {
      const frame = Buffer.alloc(frameBytes)
      await file.read(frame, 0, frameBytes, at)
      if (frame.toString('latin1', 0, 4) !== 'GRUP') break
      const whole = Buffer.alloc(frameBytes + frame.readUInt32LE(16))
      if (Number(frame.readBigUInt64LE(8)) >= from) {
        await file.read(whole, 0, whole.length, at)
        groups.push({ events: frame.readUInt32LE(4), bytes: whole })
        bytes += whole.length
      }
      at += whole.length
    }
    await file.close()
  }
  return groups
}

/** How fast the disk takes these very groups: one write and one fdatasync each, and nothing else. */
export async function replayGroups(path, groups, msMax) {
  const file = await open(path, 'w')
  let events = 0
  let bytes = 0
  const began = performance.now()
  for (const group of groups) {
    await file.write(group.bytes, 0, group.bytes.length, bytes)
    await file.datasync()
    events += group.events
    bytes += group.bytes.length
    if (performance.now() - began > msMax) break
  }
  const tookMs = performance.now() - began
  await file.close()
  return {
    per_second: (events * 1000) / tookMs,
    events,
    bytes_per_event: Math.round(bytes / events),
  }
}
