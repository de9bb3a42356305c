import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FsckReportFile } from '../../src/contracts/fsck-report.js'
import { openJournal } from '../../src/ledger/adapters/open-journal.js'
import { draft, request, temporaryFolder } from '../support/ledger.js'
import { cleanEnv, cliPath, eventually, runCli } from '../support/product.js'

/** A data folder with a ledger that takes some seconds to check; its index is on disk. */
async function largeLedger(t: Test, events: number): Promise<string> {
  const data = await temporaryFolder(t)
  const folder = join(data, 'ledger')
  await mkdir(folder)
  const ledger = await openJournal({ folder, now: () => Date.now(), segmentBytesMax: 20_000_000 })
  const appends: Promise<unknown>[] = []
  for (let i = 0; i < events / 500; i += 1) {
    const type = `order.t${i % 5}`
    const batch = Array.from({ length: 500 }, () => draft({ type }))
    appends.push(ledger.append(request({ stream: `order-${i % 40}`, events: batch })))
    if (i % 20 === 0) await Promise.all(appends.splice(0))
  }
  await Promise.all(appends)
  await ledger.close()
  return data
}

const report = (stdout: string) => FsckReportFile.parse(JSON.parse(stdout))

t.test('fsck that is killed or interrupted is gone on with by --resume', async (t) => {
  const data = await largeLedger(t, 150_000)
  const state = join(data, 'fsck.json')
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    rmSync(state, { force: true })
    const child = spawn(process.execPath, [cliPath, 'fsck', '--data', data, '--json'], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const out: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    const ended = once(child, 'close')
    await eventually('it is written where the check stands', () => existsSync(state) || undefined)
    child.kill(signal)
    const [code] = (await ended) as [number | null]
    if (signal === 'SIGINT') {
      t.equal(code, 130)
      t.match(report(Buffer.concat(out).toString()), { finished: false, sound: false })
    }

    const resumed = await runCli(['fsck', '--data', data, '--resume', '--json'])
    t.equal(resumed.code, 0, resumed.stdout + resumed.stderr)
    const found = report(resumed.stdout)
    t.match(found, {
      finished: true,
      sound: true,
      events: 150_000,
      size: 150_000,
      index: { state: 'sound', through: 150_000 },
      uniqueness: 'checked',
      problems: [],
    })
    t.ok(found.resumed_from > 0, `gone on with from ${found.resumed_from}`)
    t.strictSame(
      readdirSync(data).filter((name) => name.startsWith('fsck')),
      [],
    )
  }
})

t.test('fsck tells damage of the index from damage of the journal, with what to do', async (t) => {
  const data = await largeLedger(t, 70_000)
  const tiles = join(data, 'ledger', 'index', 'tiles-0')
  const bytes = readFileSync(tiles)
  const fd = openSync(tiles, 'r+')
  writeSync(fd, Buffer.from([(bytes[5_000] ?? 0) ^ 1]), 0, 1, 5_000)

  const ran = await runCli(['fsck', '--data', data])
  t.equal(ran.code, 1)
  t.match(ran.stdout, /hash tiles: index\/tiles-0 at offset 64: tile 0 of level 0/)
  t.match(ran.stdout, /nothing is wrong with the journal itself/)
  t.match(ran.stdout, /not sound: nothing is lost: delete the folder "index"/)
  const json = await runCli(['fsck', '--data', data, '--json'])
  t.match(report(json.stdout), {
    problems: [{ part: 'tiles', file: 'index/tiles-0', offset: 64 }],
    remedies: [{ part: 'tiles' }],
  })

  // As it says.
  rmSync(join(data, 'ledger', 'index'), { recursive: true })
  const without = await runCli(['fsck', '--data', data])
  t.equal(without.code, 0, without.stdout)
  t.match(without.stdout, /there is no index; a start makes it/)
})
