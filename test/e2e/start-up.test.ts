import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { diskReserveBytes } from '../../src/ledger/adapters/disk-reserve.js'
import { mountSmallDisk, noSmallDisk } from '../support/small-disk.js'
import { cliPath, Product, runCli, startProduct } from '../support/product.js'

const temporary = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'fractalops-start-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
const anyPorts = [
  '--http',
  '127.0.0.1:0',
  '--warehouse',
  '127.0.0.1:0',
  '--temporal',
  '127.0.0.1:0',
  '--grpc',
  '127.0.0.1:0',
]
const journalOf = (data: string): string => {
  const file = readdirSync(join(data, 'ledger'), { recursive: true, encoding: 'utf8' })
    .map((name) => join(data, 'ledger', name))
    .filter((path) => path.endsWith('.journal') && statSync(path).isFile())
    .sort()[0]
  if (file === undefined) throw new Error('no journal segment found')
  return file
}

t.test('a second process on the same folder is refused, and the first goes on', async (t) => {
  const product = await startProduct(t)

  const second = await runCli(['up', '--data', product.data, ...anyPorts])

  t.equal(second.code, 1)
  t.match(second.stderr, /another process/i)
  t.match(second.stderr, /--data/, 'the remedy')
  t.equal((await product.request('GET', '/readyz')).status, 200)
  const doctor = await runCli(['doctor', '--data', product.data])
  t.match(doctor.stdout, /self-signed/)
})

t.test('a port that is taken is named, with what to do', async (t) => {
  const taken = createServer()
  await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done))
  t.teardown(() => taken.close())
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const folder = temporary(t)

  for (const flag of ['--http', '--warehouse', '--temporal', '--grpc']) {
    const others = anyPorts.filter((_, i, all) => all[i] !== flag && all[i - 1] !== flag)
    const refused = await runCli([
      'up',
      '--data',
      join(folder, flag.slice(2)),
      ...others,
      flag,
      `127.0.0.1:${port}`,
    ])
    t.equal(refused.code, 1, flag)
    t.match(refused.stderr, new RegExp(String(port)), `${flag} names the port`)
  }
})

t.test('a malformed policy folder creates no ledger', async (t) => {
  const folder = temporary(t)
  const policies = join(folder, 'policies')
  mkdirSync(policies)
  writeFileSync(join(policies, 'schema.cedarschema'), 'entity Person;')
  writeFileSync(join(policies, 'broken.cedar'), 'permit (principal, action, resource')

  const refused = await runCli([
    'up',
    '--data',
    join(folder, 'data'),
    '--policies',
    policies,
    ...anyPorts,
  ])

  t.equal(refused.code, 1)
  t.match(refused.stderr, /broken/)
  const again = await runCli(['events', '--data', join(folder, 'data')])
  t.not(again.code, 0, 'there is no ledger')
})

t.test(
  'a folder that is not ours, and unknown settings, are refused before anything is written',
  async (t) => {
    const folder = temporary(t)
    writeFileSync(join(folder, 'ledger'), 'this is somebody else’s file')
    const foreign = await runCli(['up', '--data', folder, ...anyPorts])
    t.equal(foreign.code, 1)
    t.match(foreign.stderr, /\S+/)

    const unknown = await runCli(['up', '--data', join(folder, 'x'), ...anyPorts], {
      FRACTALOPS_WAREHUOSE: 'chdb:x',
      FRACTALOPS_ORIGIN: 'not an origin',
    })
    t.equal(unknown.code, 1)
    t.match(unknown.stderr, /FRACTALOPS_WAREHUOSE/)
    t.match(unknown.stderr, /ORIGIN/, 'all problems at once')
  },
)

t.test('a damaged journal is refused with its exact place, and fsck names it', async (t) => {
  const product = await startProduct(t)
  await product.token('somebody', 'auditor')
  await product.stop()
  const segment = journalOf(product.data)
  const bytes = readFileSync(segment)
  const at = bytes.indexOf('ledger.bootstrapped')
  const fd = openSync(segment, 'r+')
  writeSync(fd, Buffer.from([(bytes[at] ?? 0) ^ 1]), 0, 1, at)

  const refused = await runCli(['up', '--data', product.data, ...anyPorts])
  t.equal(refused.code, 1)
  t.match(refused.stderr, /\.journal/)
  t.match(refused.stderr, /offset|byte/i)
  const fsck = await runCli(['fsck', '--data', product.data])
  t.equal(fsck.code, 1)
  t.match(fsck.stdout + fsck.stderr, /\.journal/)

  writeSync(fd, Buffer.from([bytes[at] ?? 0]), 0, 1, at)
  t.equal((await runCli(['fsck', '--data', product.data])).code, 0, 'mended, it is sound again')
})

t.test(
  'with no space left an append is refused, nothing is half-written, and it goes on with space',
  { skip: noSmallDisk },
  async (t) => {
    const data = temporary(t)
    const reserveKib = diskReserveBytes / 1024
    const disk = mountSmallDisk(t, join(data, 'ledger'), reserveKib + 2 * 1024)
    const product = new Product(data, ['--components', 'ledger,api'], {})
    t.teardown(() => product.stop())
    await product.start()
    const issued = await product.token('recorder', 'proposer')

    let recorded = 0
    let refused: { status: number; body: { code: string; remedy: string } } | undefined
    for (let i = 0; i < 60 && refused === undefined; i += 1) {
      const answer = await product.request<{ code: string; remedy: string }>(
        'POST',
        '/v1/evidence',
        {
          token: issued.token,
          headers: { 'content-type': 'application/cloudevents+json' },
          body: {
            specversion: '1.0',
            id: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
            source: 'test',
            type: 'evidence.recorded',
            subject: 'space',
            data: {
              sha256: 'a'.repeat(64),
              media_type: 'text/plain',
              size: 1,
              attributes: Object.fromEntries(
                Array.from({ length: 32 }, (_, n) => [`a${n}`, 'x'.repeat(2000)]),
              ),
            },
          },
        },
      )
      if (answer.status < 300) recorded += 1
      else refused = answer
    }
    t.equal(refused?.status, 503)
    t.equal(refused?.body.code, 'DISK_FULL')
    t.ok(recorded > 0)

    await product.stop()
    disk.resize(reserveKib + 16 * 1024)
    await product.start()
    const kept = await product.get<{ items: unknown[] }>(
      '/v1/events?stream=evidence-space&limit=500',
    )
    t.equal(kept.items.length, recorded, 'exactly what was acknowledged')
    await product.stop()
    t.equal((await runCli(['fsck', '--data', data])).code, 0)
  },
)

t.test('usage errors exit with 2 and say what is wrong', async (t) => {
  t.equal((await runCli(['verify'])).code, 2)
  t.equal((await runCli(['no-such-command'])).code, 2)
  t.equal((await runCli(['up', '--nonsense'])).code, 2)
  const help = await runCli(['--help'])
  t.equal(help.code, 0)
  t.match(help.stdout, /verify[\s\S]*fsck[\s\S]*doctor/)
  t.match(readFileSync(cliPath, 'utf8').split('\n')[0], /^#!/)
})
