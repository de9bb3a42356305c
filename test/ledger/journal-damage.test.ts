import { appendFile, cp, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import { type FilePort, nodeFiles } from '../../src/ledger/adapters/file-port.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { openJournal, openJournalReadOnly } from '../../src/ledger/adapters/open-journal.js'
import {
  closedLedger,
  draft,
  journalFiles,
  openTestLedger,
  request,
  segmentOf,
  temporaryFolder,
} from '../support/ledger.js'

const now = () => Date.UTC(2026, 0, 2)

t.test('a torn last group is cut off at every byte, and what was acknowledged stays', async (t) => {
  // The kept checkpoints are those of before the last group: a crash comes before they are written.
  const { ledger, folder } = await openTestLedger(t)
  await ledger.append(request({ events: [draft(), draft()] }))
  await ledger.close()
  const whole = await segmentOf(folder)
  const end = (await stat(whole)).size
  const kept = await readFile(join(folder, 'checkpoints'))
  const again = await openJournal({ folder, now })
  await again.append(request({ events: [draft(), draft()] }))
  await again.close()
  const bytes = await readFile(whole)

  for (let length = end; length <= bytes.length; length += 1) {
    const size = length === bytes.length ? 4 : 2
    await writeFile(whole, bytes.subarray(0, length))
    // A torn write may also have its length and lack its bytes.
    if (length % 3 === 0) await appendFile(whole, Buffer.alloc(bytes.length - length))
    await writeFile(join(folder, 'checkpoints'), kept)
    if (length % 5 === 0 || size === 4) {
      const report = await fsck({ folder })
      const isTorn = size === 2 && (await stat(whole)).size > end
      if (!report.sound || (report.tornTail !== null) !== isTorn)
        t.fail(`fsck misjudges ${length} bytes`, report)
    }
    const view = await openJournalReadOnly({ folder })
    if (view.size() !== size) t.fail(`${view.size()} events are left of ${length} bytes`)
    await view.close()
    if (length % 97 !== 0 && size === 2) continue
    const ledger = await openJournal({ folder, now })
    t.equal(ledger.size(), size)
    await ledger.append(request())
    await ledger.close()
    t.match(await fsck({ folder }), { sound: true, tornTail: null, events: size + 1 })
  }
})

t.test('a flipped bit anywhere in a covered journal is named, never cut off', async (t) => {
  const folder = await closedLedger(t, 1)
  const segment = await segmentOf(folder)
  const bytes = await readFile(segment)

  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
    await writeFile(segment, flipped)
    const error = await openJournalReadOnly({ folder }).then(
      async (view) => view.close(),
      (error: unknown) => error,
    )
    if ((error as { code?: string } | undefined)?.code !== 'JOURNAL_DAMAGED')
      t.fail(`byte ${at} is missed on open`, { error })
    if (at % 5 !== 0) continue
    const report = await fsck({ folder })
    const near = report.problems.some(
      (problem) => problem.segment.endsWith('.journal') && problem.offset <= at,
    )
    if (report.sound || !near) t.fail(`fsck does not name byte ${at}`, { report })
  }
  await writeFile(segment, bytes)
  t.equal((await fsck({ folder })).sound, true)
})

t.test('a journal that was cut short or lost a segment is damaged, not shorter', async (t) => {
  const { ledger, folder } = await openTestLedger(t, { segmentBytesMax: 2_000 })
  for (let i = 0; i < 20; i += 1) await ledger.append(request())
  await ledger.close()
  const segments = await journalFiles(folder)
  const copy = await temporaryFolder(t)
  await cp(folder, copy, { recursive: true })
  const last = segments.at(-1) ?? ''

  await truncate(last, 64)
  await t.rejects(openJournal({ folder, now }), {
    code: 'JOURNAL_DAMAGED',
    message: /kept checkpoint/,
  })
  t.equal((await fsck({ folder })).sound, false)
  await nodeFiles.remove((await journalFiles(copy))[1] ?? '')
  await t.rejects(openJournal({ folder: copy, now }), {
    code: 'JOURNAL_DAMAGED',
    message: /missing/,
  })
  t.equal((await fsck({ folder: copy })).sound, false)
})

t.test('fsck goes on behind damage and names all of it', async (t) => {
  const folder = await closedLedger(t, 6)
  const segment = await segmentOf(folder)
  const bytes = await readFile(segment)
  const places = [...bytes.toString('latin1').matchAll(/RECD/g)].map(({ index }) => index)
  for (const place of [places[1], places[6]]) {
    const at = (place ?? 0) + 60
    bytes[at] = (bytes[at] ?? 0) ^ 1
  }
  await writeFile(segment, bytes)

  const report = await fsck({ folder })

  t.match(
    report.problems.filter(({ segment }) => segment.endsWith('.journal')),
    [
      { offset: places[1], position: 1, flaw: /leaf/ },
      { offset: places[6], position: 6, flaw: /leaf/ },
    ],
  )
  t.equal(report.events, 10)
})

/** The files of this machine, of which one call fails. */
function failing(fault: {
  call: 'write' | 'sync'
  code: string
  armed: boolean
  partial?: number
  /** End of the name of the file that fails; the journal when absent. */
  file?: string
}): FilePort {
  const broken = () => Object.assign(new Error(fault.code), { code: fault.code })
  return {
    ...nodeFiles,
    async open(path, mode) {
      const file = await nodeFiles.open(path, mode)
      const hit = (call: string) =>
        fault.armed && fault.call === call && path.endsWith(fault.file ?? '.journal')
      return {
        ...file,
        async write(bytes, offset) {
          if (!hit('write')) return file.write(bytes, offset)
          await file.write(bytes.subarray(0, fault.partial ?? 0), offset)
          throw broken()
        },
        async sync() {
          if (hit('sync')) throw broken()
          return file.sync()
        },
      }
    },
  }
}

t.test(
  'after a failed write or sync the ledger is read-only, and a restart loses nothing acknowledged',
  async (t) => {
    for (const call of ['write', 'sync'] as const) {
      const fault = { call, code: 'EIO', armed: false, partial: 30 }
      const { ledger, folder } = await openTestLedger(t, { files: failing(fault) })
      const kept = draft()
      const lost = draft()
      await ledger.append(request({ events: [kept] }))
      fault.armed = true
      await t.rejects(ledger.append(request({ events: [lost] })), { code: 'LEDGER_READ_ONLY' })
      fault.armed = false
      await t.rejects(ledger.append(request()), { code: 'LEDGER_READ_ONLY' })
      t.equal(ledger.readOnly()?.code, 'LEDGER_READ_ONLY')
      t.ok(await ledger.find(kept.id))
      t.equal(await ledger.find(lost.id), undefined)
      await ledger.close()

      const again = await openJournal({ folder, now })
      t.ok(await again.find(kept.id))
      await again.append(request({ events: [lost] }))
      await again.close()
      t.equal((await fsck({ folder })).sound, true)
    }
  },
)

t.test(
  'a full disk is an error to the caller only: the ledger goes on when there is space',
  async (t) => {
    const fault = { call: 'write' as const, code: 'ENOSPC', armed: false, partial: 100 }
    const { ledger, folder } = await openTestLedger(t, { files: failing(fault) })
    const event = draft()
    await ledger.append(request())
    fault.armed = true
    await t.rejects(ledger.append(request({ events: [event] })), { code: 'DISK_FULL' })
    fault.armed = false

    t.equal(ledger.readOnly(), null)
    await ledger.append(request({ events: [event] }))
    await ledger.close()

    t.match(await fsck({ folder }), { sound: true, events: 2, tornTail: null })
  },
)

t.test('without space for a checkpoint events are still taken, and covered later', async (t) => {
  const fault = {
    call: 'write' as const,
    code: 'ENOSPC',
    armed: false,
    partial: 9,
    file: 'checkpoints',
  }
  const { ledger, folder } = await openTestLedger(t, { files: failing(fault) })
  fault.armed = true
  await ledger.append(request())
  await t.rejects(ledger.checkpointCovering(0, 100), { code: 'LEDGER_BUSY' })
  fault.armed = false
  await ledger.append(request())

  t.equal((await ledger.checkpointCovering(1)).size, 2)
  await ledger.close()
  t.match(await fsck({ folder }), { sound: true, events: 2, checkpoints: 2 })
})

t.test('a kept checkpoint that was changed is damage, and so is one of another key', async (t) => {
  const folder = await closedLedger(t, 1)
  const path = join(folder, 'checkpoints')
  const bytes = await readFile(path)

  // The last newline alone cannot be told from a torn write; losing it only signs the same tree again.
  for (let at = 0; at < bytes.length - 1; at += 1) {
    const flipped = Buffer.from(bytes)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
    await writeFile(path, flipped)
    const code = await openJournalReadOnly({ folder }).then(
      async (view) => view.close(),
      (error: unknown) => (error instanceof EvidenceError ? error.code : error),
    )
    if (code !== 'JOURNAL_DAMAGED') t.fail(`byte ${at} is missed on open`, { code })
    if ((await fsck({ folder })).sound) t.fail(`fsck misses byte ${at}`)
  }
  await writeFile(path, await readFile(join(await closedLedger(t, 1), 'checkpoints')))
  await t.rejects(openJournal({ folder, now }), { code: 'JOURNAL_DAMAGED' })
  t.equal((await fsck({ folder })).sound, false)
  await writeFile(path, bytes)
  t.equal((await fsck({ folder })).sound, true)
})
