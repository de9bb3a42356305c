import assert from 'node:assert/strict'
import { EvidenceError } from '../../src/contracts/errors.js'
import type { FilePort } from '../../src/ledger/adapters/file-port.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { keyFiles } from '../../src/ledger/adapters/key-file.js'
import { type JournalLedger, openJournal } from '../../src/ledger/adapters/open-journal.js'
import { equalBytes, utf8 } from '../../src/ledger/encoding.js'
import type {
  AppendRequest,
  PublishedCheckpoint,
  Receipt,
  RecordedEvent,
} from '../../src/ledger/event-store.js'
import { root, verifyConsistency } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { parseNote, parseVkey, verifyNote } from '../../src/ledger/note.js'
import type { Disk } from './disk.js'
import { draft, request, wholeLog } from './ledger.js'

/** What the world outside was told by the ledger: a crash may take none of it back. */
export interface Told {
  readonly attempted: Set<AppendRequest>
  readonly acknowledged: Map<AppendRequest, readonly Receipt[]>
  readonly checkpoints: PublishedCheckpoint[]
  vkey?: string
}

export const nothingTold = (): Told => ({
  attempted: new Set(),
  acknowledged: new Map(),
  checkpoints: [],
})

/** The same as it was, so that several futures can begin at one moment. */
export const copyOf = (told: Told): Told => ({
  ...told,
  attempted: new Set(told.attempted),
  acknowledged: new Map(told.acknowledged),
  checkpoints: [...told.checkpoints],
})

let drawn = 0
/** Ids in order, so that every run of a story is the same. */
const nextId = () => `00000000-0000-4000-8000-${String((drawn += 1)).padStart(12, '0')}`

export const eventsOf = (count: number, fields: Partial<AppendRequest> = {}): AppendRequest =>
  request({
    events: Array.from({ length: count }, (_, i) =>
      draft({ id: nextId(), type: `order.step-${i}`, data: utf8('x'.repeat(150 + i)) }),
    ),
    ...fields,
  })

/** Groups of requests; those of a group are sent at the same moment. */
export interface Story {
  readonly groups: readonly (readonly AppendRequest[])[]
  /** Whether each group waits for the checkpoint over the one before, or runs beside it. */
  readonly waits: boolean
}

/** Appends that roll over to further segments, with batches, a repeat and a conflict. */
export function appendingStory(waits: boolean): Story {
  const first = eventsOf(1, { expected: 'none' })
  const batch = eventsOf(3, { stream: 'order-2' })
  const groups = [
    [first],
    [batch, eventsOf(2)],
    [eventsOf(1, { expected: 'none' }), batch, eventsOf(1, { stream: 'order-3' })],
    [first, eventsOf(2, { stream: 'order-2', expected: 2 })],
    [eventsOf(3)],
  ]
  return { groups, waits }
}

/** Appends that come faster than the disk takes them: a group is made ready while another is written. */
export function crowdedStory(): Story {
  const batch = eventsOf(2, { stream: 'order-2' })
  const crowd = [
    ...[eventsOf(1, { expected: 'none' }), batch, eventsOf(1, { expected: 0 })],
    ...[eventsOf(1, { stream: 'order-3' }), eventsOf(1, { expected: 1 }), batch],
    ...[eventsOf(1, { expected: 'none' }), eventsOf(2, { stream: 'order-2', expected: 1 })],
    ...[eventsOf(1, { expected: 2 }), eventsOf(1, { stream: 'order-3', expected: 0 })],
  ]
  return { groups: [[eventsOf(1, { stream: 'order-4' })], crowd], waits: false }
}

/** So small that the stories roll over to new segments. */
const segmentBytesMax = 2_500
const now = () => Date.UTC(2026, 0, 1)
const open = (files: FilePort, folder: string) =>
  openJournal({
    folder,
    files,
    now,
    segmentBytesMax,
    checkpointIntervalMs: 0,
    overlapEventsMin: 1,
    // In a folder of its own, as in the product.
    keys: keyFiles(`${folder}-keys/checkpoint.key`, files),
  })

/** Opens the ledger, tells the story and closes; whatever fails on the way is not told to `told`. */
export async function live(files: FilePort, folder: string, story: Story, told: Told) {
  const ledger = await open(files, folder).catch(() => undefined)
  if (ledger === undefined) return
  hear(ledger, told)
  for (const group of story.groups) {
    await Promise.all(group.map((request) => tell(ledger, request, told)))
    // When no checkpoint comes, the one before still holds.
    if (story.waits && ledger.size() > 0)
      await ledger.checkpointCovering(ledger.size() - 1, 50).catch(() => undefined)
    hear(ledger, told)
  }
  await ledger.close().catch(() => undefined)
}

function hear(ledger: JournalLedger, told: Told) {
  told.checkpoints.push(ledger.checkpoint())
  told.vkey ??= ledger.vkey
}

async function tell(ledger: JournalLedger, request: AppendRequest, told: Told) {
  told.attempted.add(request)
  try {
    told.acknowledged.set(request, await ledger.append(request))
  } catch (error) {
    assert.ok(error instanceof EvidenceError, `not an error for callers: ${String(error)}`)
  }
}

/**
 * The ledger on this disk keeps all that was told: acknowledged events with their places, no half
 * request, one tree for every checkpoint ever shown. It goes on, answers repeats, and a power cut
 * right after that takes nothing either. @throws AssertionError, or what the ledger throws.
 */
export async function checkKept(disk: Disk, folder: string, before: Told) {
  const told = copyOf(before)
  const ledger = await open(disk.files, folder)
  try {
    await checkAll(ledger, told)
    await goOn(ledger, told)
    await checkAll(ledger, told)
    const later = disk.afterPowerCut('nothing unsynced is left')
    await ledger.close()
    await checkSound(disk, folder)

    const again = await open(later.files, folder)
    try {
      await checkAll(again, told)
    } finally {
      await again.close()
    }
    await checkSound(later, folder)
  } finally {
    await ledger.close()
  }
}

async function checkSound({ files }: Disk, folder: string) {
  const report = await fsck({ folder, files })
  assert.deepEqual(report.problems, [])
  assert.equal(report.tornTail, null)
}

/** Sends everything that was ever sent once more, and something new. */
async function goOn(ledger: JournalLedger, told: Told) {
  for (const request of told.attempted) {
    const first = told.acknowledged.get(request)
    const again = await ledger.append(request).catch((error: unknown) => {
      // A conflict the first time is one again; nothing else may come of an attempt.
      assert.ok(error instanceof EvidenceError && error.code === 'REVISION_CONFLICT', String(error))
    })
    if (first === undefined && again !== undefined) told.acknowledged.set(request, again)
    if (first !== undefined) assert.deepEqual(again, first.map(repeatedOf))
  }
  const fresh = eventsOf(2)
  told.acknowledged.set(fresh, await ledger.append(fresh))
  hear(ledger, told)
}

const repeatedOf = (receipt: Receipt): Receipt => ({ ...receipt, repeated: true })

async function checkAll(ledger: JournalLedger, told: Told) {
  const log = await wholeLog(ledger)
  const byId = new Map(log.map((event) => [event.leaf.id, event]))
  assert.equal(byId.size, log.length, 'an id stands twice')
  checkOrder(log)
  for (const [request, receipts] of told.acknowledged) {
    receipts.forEach((receipt, i) => {
      const event = byId.get(receipt.id)
      assert.ok(event, `the acknowledged event ${receipt.id} is gone`)
      assert.equal(event.position, receipt.position)
      assert.equal(event.leaf.revision, String(receipt.revision))
      assert.ok(equalBytes(event.data?.bytes ?? utf8(''), request.events[i]?.data ?? utf8('-')))
    })
    assert.ok(await ledger.find(receipts[0]?.id ?? ''), 'the index does not know an event')
  }
  for (const request of told.attempted) {
    const there = request.events.filter(({ id }) => byId.has(id)).length
    assert.ok(there === 0 || there === request.events.length, 'a request is half visible')
  }
  await checkTree(ledger, log, told)
}

/** Positions, revisions and ledger time are those of one sequence. */
function checkOrder(log: readonly RecordedEvent[]) {
  const sizes = new Map<string, number>()
  let time = ''
  log.forEach(({ position, leaf }, i) => {
    assert.equal(position, i)
    const size = sizes.get(leaf.stream) ?? 0
    assert.equal(leaf.revision, String(size))
    sizes.set(leaf.stream, size + 1)
    assert.ok(leaf.time >= time, 'ledger time goes back')
    time = leaf.time
  })
}

/** Notes whose signature was found good: most cases of a table show the same ones again and again. */
const verified = new Set<string>()

async function checkTree(ledger: JournalLedger, log: readonly RecordedEvent[], told: Told) {
  const { sha256 } = nodeCrypto
  if (log.length > 0) await ledger.checkpointCovering(log.length - 1)
  const latest = ledger.checkpoint()
  assert.equal(latest.size, log.length)
  const naive = root(
    sha256,
    log.map(({ leafHash }) => leafHash),
  )
  assert.ok(equalBytes(latest.root, naive), 'the checkpoint has another root than the events')
  assert.equal(ledger.vkey, told.vkey ?? ledger.vkey)
  const key = parseVkey(sha256, ledger.vkey)
  const seen = new Set<string>()
  for (const { size, root, note } of [...told.checkpoints, latest]) {
    if (seen.has(note)) continue
    seen.add(note)
    if (!verified.has(note)) verifyNote(nodeCrypto, parseNote(note), [key])
    verified.add(note)
    if (size === 0) continue
    const path = await ledger.proveConsistency(size, latest.size)
    const proof = { from: size, fromRoot: root, to: latest.size, toRoot: latest.root, path }
    verifyConsistency(sha256, proof)
  }
}
