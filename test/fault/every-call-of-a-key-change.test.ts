import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import t from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import type { FilePort } from '../../src/ledger/adapters/file-port.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { keyFiles } from '../../src/ledger/adapters/key-file.js'
import {
  type JournalLedger,
  openJournal,
  openJournalReadOnly,
} from '../../src/ledger/adapters/open-journal.js'
import type { PublishedCheckpoint } from '../../src/ledger/event-store.js'
import { verifyConsistency } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { parseNote, verifyNote } from '../../src/ledger/note.js'
import { keysAt } from '../../src/ledger/signing-keys.js'
import { createDisk, type Disk, everyLoss } from '../support/disk.js'
import { applies, everyFault, startProcess } from '../support/faults.js'
import { collect, draft, request, temporaryFolder, wholeLog } from '../support/ledger.js'

const now = () => Date.UTC(2026, 0, 1)
const keysIn = (files: FilePort, folder: string) => keyFiles(`${folder}-keys/checkpoint.key`, files)
const open = (files: FilePort, folder: string) =>
  openJournal({ folder, files, now, checkpointIntervalMs: 0, keys: keysIn(files, folder) })

/** What the world outside knows of the ledger: a crash may take none of it back. */
interface Told {
  readonly vkeys: Set<string>
  readonly ids: Set<string>
  readonly checkpoints: PublishedCheckpoint[]
  /** The key that was acknowledged as the one that follows. */
  changedTo?: string
}
const copyOf = (told: Told): Told => ({
  ...told,
  vkeys: new Set(told.vkeys),
  ids: new Set(told.ids),
  checkpoints: [...told.checkpoints],
})

let drawn = 0
const nextId = () => `00000000-0000-4000-8000-${String((drawn += 1)).padStart(12, '0')}`

/** Prepares a key, opens, lets it take over while events are appended, and closes; what is acknowledged is told. */
async function rotate(files: FilePort, folder: string, told: Told, ids: readonly string[]) {
  await keysIn(files, folder)
    .prepareNext(originOf)
    .catch(() => undefined)
  const ledger = await open(files, folder).catch(() => undefined)
  if (ledger === undefined) return
  const hear = () => {
    told.vkeys.add(ledger.vkey)
    told.checkpoints.push(ledger.checkpoint())
  }
  const append = (id: string | undefined) =>
    ledger.append(request({ events: [draft({ id: id ?? '' })] })).then(
      () => void told.ids.add(id ?? ''),
      (error: unknown) => assert.ok(error instanceof EvidenceError, String(error)),
    )
  hear()
  const next = ledger.nextVkey
  const changing = ledger.changeKey().then(
    () => {
      if (next !== null) told.changedTo = next
    },
    (error: unknown) => assert.ok(error instanceof EvidenceError, String(error)),
  )
  await Promise.all([changing, append(ids[0])])
  hear()
  await append(ids[1])
  hear()
  await ledger.close().catch(() => undefined)
}

let originOf = ''

/** The ledger starts with the one key or the other, keeps all that was told, goes on, and can change its key again. */
async function checkFound(disk: Disk, folder: string, told: Told): Promise<void> {
  const view = await openJournalReadOnly({ folder, files: disk.files })
  await view.close()
  const ledger = await open(disk.files, folder)
  try {
    await checkLedger(ledger, told)
  } finally {
    await ledger.close()
  }
  const report = await fsck({ folder, files: disk.files })
  assert.deepEqual(report.problems, [])
  await (await open(disk.afterPowerCut('nothing unsynced is left').files, folder)).close()
}

async function checkLedger(ledger: JournalLedger, told: Told): Promise<void> {
  const { sha256 } = nodeCrypto
  if (told.changedTo !== undefined) assert.equal(ledger.vkey, told.changedTo)
  assert.equal(ledger.vkey, ledger.keys.at(-1)?.vkey)
  const named = ledger.keys.map(({ vkey }) => vkey)
  for (const vkey of told.vkeys) assert.ok(named.includes(vkey), `${vkey} is forgotten`)
  if (ledger.nextVkey !== null) await ledger.changeKey()
  const [event] = [draft({ id: nextId() })]
  await ledger.append(request({ events: [event] }))
  const latest = await ledger.checkpointCovering(ledger.size() - 1)
  const log = new Set((await wholeLog(ledger)).map(({ leaf }) => leaf.id))
  for (const id of told.ids) assert.ok(log.has(id), `the acknowledged event ${id} is gone`)
  const kept = await collect(ledger.checkpointsAfter(0))
  for (const { note, size, root } of [...told.checkpoints, ...kept]) {
    verifyNote(nodeCrypto, parseNote(note), keysAt(sha256, ledger.keys, size))
    if (size === 0) continue
    const path = await ledger.proveConsistency(size, latest.size)
    verifyConsistency(sha256, {
      from: size,
      fromRoot: root,
      to: latest.size,
      toRoot: latest.root,
      path,
    })
  }
  checkBridges(kept, ledger.keys)
}

/** For every change there is a checkpoint that both keys signed, and no key signs outside its term. */
function checkBridges(
  kept: readonly PublishedCheckpoint[],
  keys: readonly { readonly vkey: string; readonly signingFrom: number }[],
) {
  const { sha256 } = nodeCrypto
  for (const { note, size } of kept)
    assert.equal(
      verifyNote(nodeCrypto, parseNote(note), keysAt(sha256, keys, size)).length,
      parseNote(note).signatures.length,
      `a key signed size ${size} outside its term`,
    )
  keys.slice(1).forEach(({ signingFrom }, i) => {
    const bridge = kept.find(
      ({ note, size }) => size === signingFrom && parseNote(note).signatures.length === 2,
    )
    assert.ok(bridge, `nothing bridges to key ${i + 1}`)
  })
}

/** Lets every call of a change go wrong in every way. */
async function everyCall(name: string, folder: string, beginning: Disk, told: Told) {
  const ids = [nextId(), nextId()]
  const recorded = startProcess(beginning.copy())
  await rotate(recorded.files, folder, copyOf(told), ids)
  let cases = 0
  const checked = new Set<string>()
  const check = async (found: Disk, heard: Told, what: string) => {
    const print = createHash('sha256').update(JSON.stringify([...heard.ids, heard.changedTo]))
    for (const [path, bytes] of found.contents())
      print.update(`${path} ${bytes.length}\n`).update(bytes)
    const digest = print.digest('hex')
    // What is found durable is found so once; a disk that lives on may still lose what it shows.
    if (what.includes('power') && checked.has(digest)) return
    checked.add(digest)
    cases += 1
    await checkFound(found, folder, heard).catch((error: unknown) => {
      t.fail(`${name}: ${what}`, { found: error instanceof Error ? error.stack : error })
    })
  }
  for (const [at, call] of recorded.calls.entries()) {
    for (const fault of everyFault) {
      if (!applies(fault, call)) continue
      const disk = beginning.copy()
      const heard = copyOf(told)
      const process = startProcess(disk, { at, fault })
      await rotate(process.files, folder, heard, ids)
      const { method, path } = process.hit ?? call
      const what = `call ${at}, ${method} ${path.slice(folder.length)}, ${fault}`
      for (const loss of everyLoss)
        await check(disk.afterPowerCut(loss), heard, `${what}; after a power cut ${loss}`)
      await check(disk, heard, `${what}; the machine lives on`)
    }
  }
  t.comment(`${name}: ${recorded.calls.length} calls, ${cases} cases`)
  t.ok(cases > recorded.calls.length)
  return recorded.calls
}

async function signedLedger(folder: string): Promise<{ disk: Disk; told: Told }> {
  const disk = createDisk()
  const ledger = await open(disk.files, folder)
  originOf = ledger.origin
  const id = nextId()
  await ledger.append(request({ events: [draft({ id })] }))
  const checkpoints = [await ledger.checkpointCovering(0)]
  await ledger.close()
  return { disk, told: { vkeys: new Set([ledger.vkey]), ids: new Set([id]), checkpoints } }
}

t.test('a change of keys survives every fault: signed by the old key or the new one', async (t) => {
  const folder = await temporaryFolder(t)
  const { disk, told } = await signedLedger(folder)

  const calls = await everyCall('a change', folder, disk, told)

  for (const path of [/ledger\.json$/, /checkpoint\.key\.next$/, /checkpoint\.key$/])
    t.ok(
      calls.some((call) => call.method === 'rename' && path.test(call.path)),
      String(path),
    )
})

const stops = {
  'a key that is named and signed nothing': { method: 'write', path: /\/checkpoints$/ },
  'a key that signed and has not taken over': { method: 'rename', path: /checkpoint\.key$/ },
} as const

for (const [what, { method, path }] of Object.entries(stops))
  t.test(`a start that finds ${what} survives every fault`, async (t) => {
    const folder = await temporaryFolder(t)
    const { disk, told } = await signedLedger(folder)
    const ids = [nextId(), nextId()]
    const recorded = startProcess(disk.copy())
    await rotate(recorded.files, folder, copyOf(told), ids)
    const named = recorded.calls.findLastIndex(
      (call) => call.method === 'rename' && call.path.endsWith('ledger.json'),
    )
    const at = recorded.calls.findIndex(
      (call, i) => i > named && call.method === method && path.test(call.path),
    )
    await rotate(startProcess(disk, { at, fault: 'killed before' }).files, folder, told, ids)

    const found = disk.afterPowerCut('nothing unsynced is left')
    await everyCall(`a start with ${what}`, folder, found, told)
  })
