import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import t from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { keyFiles } from '../../src/ledger/adapters/key-file.js'
import { openJournal, openJournalReadOnly } from '../../src/ledger/adapters/open-journal.js'
import { utf8 } from '../../src/ledger/encoding.js'
import type { EventReader } from '../../src/ledger/event-store.js'
import type { FilePort } from '../../src/ledger/adapters/file-port.js'
import { createDisk, type Disk, everyLoss } from '../support/disk.js'
import { erasing } from '../support/erasing.js'
import { applies, type Call, everyFault, startProcess } from '../support/faults.js'
import { draft, request, temporaryFolder } from '../support/ledger.js'

const now = () => Date.UTC(2026, 0, 1)
const secret = 'secret-'.repeat(40)
const id = (n: number) => `00000000-0000-4000-8000-00000000000${n}`
const both = draft({ id: id(1), data: utf8(secret), metadata: utf8(secret) })
const dataOnly = draft({ id: id(2), data: utf8(secret), metadata: utf8('kept') })
const neighbour = draft({ id: id(3), data: utf8('kept') })
const told = erasing(
  [
    { id: both.id, parts: ['data', 'metadata'] },
    { id: dataOnly.id, parts: ['data'] },
  ],
  { id: id(9) },
)

const open = (files: FilePort, folder: string) =>
  openJournal({
    folder,
    files,
    now,
    checkpointIntervalMs: 0,
    keys: keyFiles(`${folder}-keys/checkpoint.key`, files),
  })

async function erase(files: FilePort, folder: string): Promise<boolean> {
  const ledger = await open(files, folder).catch(() => undefined)
  if (ledger === undefined) return false
  const done = await ledger.erase(told).then(
    () => true,
    (error: unknown) => {
      assert.ok(error instanceof EvidenceError, `not an error for callers: ${String(error)}`)
      return false
    },
  )
  await checkReading(ledger, done).catch((error: unknown) => {
    // The call that goes wrong may be one of these reads; what was read must be right.
    if (error instanceof assert.AssertionError) throw error
  })
  await ledger.close().catch(() => undefined)
  return done
}

/** Once its event is readable an erasure has happened, for every reader; before that nothing has. */
async function checkReading(reader: EventReader, mustBeErased: boolean): Promise<boolean> {
  const found = async (event: string) => {
    const { data, metadata } = (await reader.find(event)) ?? {}
    return [data, metadata].map((part) => part && Buffer.from(part.bytes).toString())
  }
  const isTold = (await reader.find(id(9))) !== undefined
  if (mustBeErased) assert.ok(isTold, 'the event was acknowledged')
  assert.deepEqual(await found(id(3)), ['kept', '{}'])
  if (isTold && mustBeErased) {
    assert.deepEqual(await found(id(1)), [null, null])
    assert.deepEqual(await found(id(2)), [null, 'kept'])
  } else if (!isTold) {
    assert.deepEqual(await found(id(1)), [secret, secret])
    assert.deepEqual(await found(id(2)), [secret, 'kept'])
  }
  return isTold
}

async function checkFound(disk: Disk, folder: string, done: boolean): Promise<void> {
  const { files } = disk
  const report = await fsck({ folder, files })
  assert.deepEqual(report.problems, [])
  const view = await openJournalReadOnly({ folder, files })
  const isTold = (await view.find(id(9))) !== undefined
  await checkReading(view, isTold)
  await view.close()
  const ledger = await open(files, folder)
  await checkReading(ledger, done || isTold)
  await ledger.close()
  assert.match(JSON.stringify(await fsck({ folder, files })), /"unfinishedErasure":null/)
  const later = disk.afterPowerCut('nothing unsynced is left')
  const again = await open(later.files, folder)
  await checkReading(again, isTold)
  await again.erase(told)
  await checkReading(again, true)
  await again.close()
  assert.deepEqual((await fsck({ folder, files: later.files })).problems, [])
  for (const [path, bytes] of later.contents())
    assert.ok(!bytes.includes('secret-secret'), `${path} holds what was erased`)
}

/** Lets every call between opening and closing go wrong in every way. */
async function everyCall(name: string, folder: string, beginning: Disk): Promise<void> {
  const recorded = startProcess(beginning.copy())
  await erase(recorded.files, folder)
  let cases = 0
  const checked = new Set<string>()
  const check = async (found: Disk, done: boolean, call: Call, at: number, what: string) => {
    const print = createHash('sha256').update(String(done))
    for (const [path, bytes] of found.contents())
      print.update(`${path} ${bytes.length}\n`).update(bytes)
    const digest = print.digest('hex')
    // What is found durable is found so once; a disk that lives on may still lose what it shows.
    if (what.includes('power') && checked.has(digest)) return
    checked.add(digest)
    cases += 1
    await checkFound(found, folder, done).catch((error: unknown) => {
      t.fail(`${name}: call ${at}, ${call.method} ${call.path.slice(folder.length)}, ${what}`, {
        found: error instanceof Error ? error.stack : error,
      })
    })
  }
  for (const [at, call] of recorded.calls.entries()) {
    for (const fault of everyFault) {
      if (!applies(fault, call)) continue
      const disk = beginning.copy()
      const process = startProcess(disk, { at, fault })
      const done = await erase(process.files, folder)
      for (const loss of everyLoss)
        await check(disk.afterPowerCut(loss), done, call, at, `${fault}; after a power cut ${loss}`)
      await check(disk, done, call, at, `${fault}; the machine lives on`)
    }
  }
  t.comment(`${name}: ${recorded.calls.length} calls, ${cases} cases`)
  t.ok(cases > recorded.calls.length)
}

t.test('an erasure survives every fault: told and gone, or neither', async (t) => {
  const folder = await temporaryFolder(t)
  const disk = createDisk()
  const ledger = await open(disk.files, folder)
  await ledger.append(request({ events: [both, dataOnly, neighbour] }))
  await ledger.close()

  await everyCall('an erasure', folder, disk)
})

t.test('a start that finds an erasure half done survives every fault', async (t) => {
  const folder = await temporaryFolder(t)
  const disk = createDisk()
  const ledger = await open(disk.files, folder)
  await ledger.append(request({ events: [both, dataOnly, neighbour] }))
  await ledger.close()
  const recorded = startProcess(disk.copy())
  await erase(recorded.files, folder)
  const at = recorded.calls.findLastIndex(
    ({ method, path }) => method === 'write' && path.endsWith('.journal'),
  )
  await erase(startProcess(disk, { at, fault: 'killed after' }).files, folder)

  await everyCall('a start', folder, disk.afterPowerCut('half of each unsynced write is left'))
})
