import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { utf8 } from '../../src/ledger/encoding.js'
import { openTestApi, type TestApi } from '../support/api.js'
import { draft, request, temporaryFolder } from '../support/ledger.js'
import { requireTessera, runTessera } from '../support/tessera.js'

const skip = requireTessera()

/** Events enough for full tiles, a partial one and a second level. */
async function fill({ ledger }: TestApi, events: number) {
  for (let left = events; left > 0; left -= 1_000) {
    const some = Array.from({ length: Math.min(left, 1_000) }, () => draft())
    await ledger.append(request({ events: some }))
  }
  return ledger.checkpointCovering(ledger.size() - 1)
}

/** Tessera's fsck over what we serve; it says what is wrong on standard error and ends with 0 all the same. */
async function tesseraFsck(t: Test, api: TestApi, token?: string) {
  const key = join(await temporaryFolder(t), 'key')
  await writeFile(key, api.ledger.vkey)
  const ran = await runTessera('fsck', [
    `--storage_url=${api.url}/`,
    `--public_key=${key}`,
    '--ui=false',
    '--N=4',
    '--v=1',
    ...(token === undefined ? [] : [`--bearer_token=${token}`]),
  ])
  return { code: ran.code, failed: ran.stderr.includes('fsck failed'), output: ran.stderr }
}

t.test(
  'Tessera’s fsck passes over the tiles of a ledger of events, with a token',
  { skip },
  async (t) => {
    const api = await openTestApi(t)
    await fill(api, 70_000)
    const auditor = await api.token('ada', 'auditor')
    const last = await api.ledger.checkpointCovering(api.ledger.size() - 1)

    const checked = await tesseraFsck(t, api, auditor)
    const refused = await tesseraFsck(t, api)

    t.equal(checked.code, 0)
    t.notOk(checked.failed, checked.output)
    t.match(checked.output, 'Completed ranges')
    t.ok(refused.failed, 'without a token it cannot read the leaves')
    t.ok(last.size > 70_000)
  },
)

t.test('Go opens our checkpoints as signed notes, and no changed ones', { skip }, async (t) => {
  const api = await openTestApi(t)
  const { note, size } = await fill(api, 10)
  const other = await openTestApi(t)

  const opened = await runTessera('open-checkpoint', [api.ledger.vkey], { input: note })
  const changed = await runTessera('open-checkpoint', [api.ledger.vkey], {
    input: note.replace(`\n${size}\n`, `\n${size + 1}\n`),
  })
  const stranger = await runTessera('open-checkpoint', [other.ledger.vkey], { input: note })

  t.equal(opened.code, 0, opened.stderr)
  t.equal(
    opened.stdout,
    `${note.slice(0, note.indexOf('\n\n') + 1)}signed by ${api.ledger.origin}\n`,
  )
  t.equal(changed.code, 1)
  t.match(changed.stderr, 'invalid signature')
  t.equal(stranger.code, 1)
})

t.test(
  'Tessera’s hammer runs clean against a ledger for interoperability, and everything it wrote is sound',
  { skip },
  async (t) => {
    const api = await openTestApi(t, { journal: { interoperability: true }, publicTiles: true })
    const token = await api.token('hammer', 'intake')
    await api.ledger.append(request())
    const { size } = await api.ledger.checkpointCovering(api.ledger.size() - 1)
    const goal = 3_000

    const hammer = await runTessera('hammer', [
      `--log_url=${api.url}/`,
      `--log_public_key=${api.ledger.vkey}`,
      `--bearer_token_write=${token}`,
      '--show_ui=false',
      '--max_read_ops=200',
      '--num_readers_random=2',
      '--num_readers_full=2',
      '--num_writers=32',
      '--max_write_ops=1500',
      '--leaf_min_size=200',
      '--dup_chance=0.1',
      `--leaf_write_goal=${goal}`,
      '--max_runtime=50s',
    ])
    // When it has reached its goal it gives up what it was just asking for, and says so.
    const complaints = hammer.stderr
      .split('\n')
      .filter((line) => /^[WEF]\d{4} /.test(line) && !line.endsWith(': context canceled'))

    t.equal(hammer.code, 0, hammer.stderr)
    t.strictSame(complaints, [])
    t.ok(api.ledger.size() >= size + goal)
    await api.ledger.append(request({ events: [draft({ data: utf8('after it all') })] }))
    await api.ledger.checkpointCovering(api.ledger.size() - 1)
    const checked = await tesseraFsck(t, api)
    t.notOk(checked.failed, checked.output)
    await api.app.close()
    await api.ledger.close()
    const report = await fsck({ folder: api.folder })
    t.ok(report.sound)
    t.ok(report.raw >= goal)
  },
)
