import { spawnSync } from 'node:child_process'
import { copyFile, cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { openJournal, openJournalReadOnly } from '../../src/ledger/adapters/open-journal.js'
import { verifyConsistency } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { checkHeard, nothingHeard, runAppender } from '../support/appender.js'
import { closedLedger, openTestLedger, request, temporaryFolder } from '../support/ledger.js'

const now = () => Date.UTC(2026, 0, 2)
const run = (command: string, ...args: string[]) => {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

/** Why a test that mounts file systems is skipped, or false; in CI the tests run as root. */
const requireMount = (): string | false =>
  process.getuid?.() === 0 || process.env['CI'] === 'true' ? false : 'only root may mount'

/** Mounts something on a folder until the test ends. */
async function mounted(t: Test, ...args: string[]): Promise<string> {
  const folder = await temporaryFolder(t)
  run('mount', ...args, folder)
  t.teardown(() => run('umount', '--lazy', folder))
  return folder
}

t.test(
  'a disk that is really full is an error to callers: nothing acknowledged is lost, and it goes on with space',
  { skip: requireMount() },
  async (t) => {
    const disk = await mounted(t, '-t', 'tmpfs', '-o', 'size=300k', 'tmpfs')
    const folder = join(disk, 'ledger')
    const ballast = join(disk, 'ballast')
    await writeFile(ballast, Buffer.alloc(100_000))
    const heard = nothingHeard()

    await runAppender(heard, { args: [folder, '8', 'Infinity', '20000'] })
    t.ok(heard.acknowledged.size > 0)
    t.ok(heard.refusals.length > 0)
    t.strictSame(
      heard.refusals.filter((code) => code !== 'DISK_FULL'),
      [],
    )
    t.equal((await fsck({ folder })).sound, true)

    await rm(ballast)
    await checkHeard(folder, heard)
    await runAppender(heard, { args: [folder, '4', '10', '20000'] })
    await checkHeard(folder, heard)
  },
)

t.test(
  'on a file system mounted read-only a ledger is read and checked; writing is refused and changes nothing',
  { skip: requireMount() },
  async (t) => {
    const source = await closedLedger(t)
    const folder = await mounted(t, '--bind', source)
    run('mount', '-o', 'remount,bind,ro', folder)

    await t.rejects(openJournal({ folder, now }), {
      code: 'DATA_FOLDER_INVALID',
      message: /cannot be written/,
    })
    const view = await openJournalReadOnly({ folder })
    t.equal(view.size(), 10)
    await view.close()
    t.match(await fsck({ folder }), { sound: true, events: 10 })
  },
)

const requirePrlimit = (): string | false =>
  process.env['CI'] === 'true' || spawnSync('prlimit', ['--version']).status === 0
    ? false
    : 'prlimit is missing (Debian package util-linux)'

t.test(
  'out of file descriptors the ledger ends writing and says so; nothing is lost',
  { skip: requirePrlimit() },
  async (t) => {
    const folder = await temporaryFolder(t)
    const heard = nothingHeard()

    await runAppender(heard, {
      // Each append fills a segment, and each segment is an open file.
      args: [folder, '4', 'Infinity', '500'],
      onLine(child, line) {
        if (line === 'open') run('prlimit', '--pid', String(child.pid), '--nofile=50:50')
      },
    })

    t.ok(heard.acknowledged.size > 0)
    t.ok(heard.refusals.length > 0)
    t.strictSame(
      heard.refusals.filter((code) => code !== 'LEDGER_READ_ONLY'),
      [],
    )
    await checkHeard(folder, heard)
  },
)

t.test(
  'a second process is refused and told who writes; killed, it leaves the folder free',
  async (t) => {
    const folder = await temporaryFolder(t)
    const heard = nothingHeard()
    let refusal: Promise<unknown> | undefined
    let pid: number | undefined
    const { signal } = await runAppender(heard, {
      args: [folder, '4'],
      onLine(child, line) {
        if (line !== 'open') return
        refusal = openJournal({ folder, now })
          .catch((error: unknown) => error)
          .finally(() => child.kill('SIGKILL'))
        pid = child.pid
      },
    })
    t.equal(signal, 'SIGKILL')
    t.match(await refusal, { code: 'LEDGER_LOCKED', details: { pid } })
    await checkHeard(folder, heard)
  },
)

t.test('the clock may go back over a kill: ledger time holds, and nothing is lost', async (t) => {
  const { ledger, folder, clock } = await openTestLedger(t)
  const before = clock.nowMs
  await ledger.append(request())
  await ledger.close()

  for (const step of [-86_400_000, -1, 0, 86_400_000]) {
    const again = await openJournal({ folder, now: () => before + step })
    await again.append(request())
    await again.close()
  }
  const report = await fsck({ folder })
  t.strictSame(report.problems, [])
})

t.test(
  'a restored older copy is refused beside a later checkpoint; alone, a kept one tells',
  async (t) => {
    const { ledger, folder } = await openTestLedger(t)
    await ledger.append(request())
    await ledger.close()
    const backup = join(await temporaryFolder(t), 'backup')
    await cp(folder, backup, { recursive: true })
    const later = await openJournal({ folder, now })
    await later.append(request())
    const kept = await later.checkpointCovering(1)
    await later.close()

    const mixed = join(await temporaryFolder(t), 'mixed')
    await cp(backup, mixed, { recursive: true })
    await copyFile(join(folder, 'checkpoints'), join(mixed, 'checkpoints'))
    await t.rejects(openJournal({ folder: mixed, now }), {
      code: 'JOURNAL_DAMAGED',
      message: /kept checkpoint covers 2/,
    })
    t.equal((await fsck({ folder: mixed })).sound, false)

    // The copy alone is a sound ledger of an earlier day. It goes on as another history, and whoever
    // kept a checkpoint sees that.
    const restored = await openJournal({ folder: backup, now })
    t.teardown(() => restored.close())
    await restored.append(request())
    await restored.append(request())
    const forked = await restored.checkpointCovering(2)
    const path = await restored.proveConsistency(kept.size, forked.size)
    const proof = {
      from: kept.size,
      fromRoot: kept.root,
      to: forked.size,
      toRoot: forked.root,
      path,
    }
    t.throws(() => verifyConsistency(nodeCrypto.sha256, proof), { code: 'PROOF_MISMATCH' })
  },
)
