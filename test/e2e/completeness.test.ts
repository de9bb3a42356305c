import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openTestApi } from '../support/api.js'
import { headsOf } from '../support/heads.js'
import { draft, openTestLedger, request, temporaryFolder } from '../support/ledger.js'
import { runCli } from '../support/product.js'

t.test(
  'a stream and a window are proven from a folder and verified when the folder is gone',
  async (t) => {
    const data = await temporaryFolder(t)
    await mkdir(join(data, 'ledger'))
    const { ledger, clock } = await openTestLedger(t, { folder: join(data, 'ledger') })
    const heads = await headsOf(t, ledger)
    for (let i = 0; i < 9; i += 1) {
      clock.nowMs += 1_000
      await ledger.append(request({ stream: `order-${i % 2}`, events: [draft()] }))
    }
    await heads.sealIfDue(clock.nowMs)
    await ledger.append(request({ stream: 'order-0', events: [draft({ type: 'order.paid' })] }))
    await ledger.close()
    const window = ['--from', '2026-01-01T00:00:00Z', '--to', '2026-01-01T01:30:00+01:00']
    const stream = join(data, '..', `${data.split('/').at(-1)}.stream.json`)
    const placed = join(data, '..', `${data.split('/').at(-1)}.window.json`)
    t.teardown(() => Promise.all([rm(stream, { force: true }), rm(placed, { force: true })]))

    const streamRun = await runCli(['prove', '--data', data, '--stream', 'order-0', '-o', stream])
    t.equal(streamRun.code, 0, streamRun.stderr)
    const windowRun = await runCli([
      'prove',
      '--data',
      data,
      '--type',
      'order.placed',
      ...window,
      '-o',
      placed,
    ])
    t.equal(windowRun.code, 0, windowRun.stderr)
    t.match(await runCli(['prove', '--data', data, '--stream', 'order-7', '-o', '-']), {
      code: 1,
      stderr: /has no event/,
    })
    t.match(await runCli(['prove', '--data', data, '--type', 'order.placed', '-o', '-']), {
      code: 2,
    })
    await rm(data, { recursive: true })

    const verified = await runCli(['verify', stream, '--key', ledger.vkey])
    t.match(verified, {
      code: 0,
      stdout:
        /verified: all 6 events of stream order-0 up to revision 5, sealed at position 9 under checkpoint size 11; it has no other below that size/,
    })
    t.match(await runCli(['verify', placed, '--key', ledger.vkey, '--json']), {
      code: 0,
      stdout: /"up_to":\s*"checkpoint"/,
    })
    t.equal((await runCli(['verify', stream], { HOME: data, XDG_CONFIG_HOME: data })).code, 3)
    const text = await readFile(stream, 'utf8')
    await writeFile(stream, text.replace('order.paid', 'order.pai_'))
    t.match(await runCli(['verify', stream, '--key', ledger.vkey]), {
      code: 1,
      stderr: /two leaves for position 10/,
    })
  },
)

t.test('the API proves a stream and a window of the project of the token', async (t) => {
  const api = await openTestApi(t)
  await api.ledger.append(request({ stream: 'order-1', events: [draft(), draft()] }))
  await api.ledger.append(request({ stream: 'order-1', project: 'other' }))
  const token = await api.token('alma', 'auditor')
  const ask = (path: string) => api.send<Record<string, unknown>>('GET', path, { token })

  const stream = await ask('/v1/streams/order-1/proof')
  t.match(stream, {
    status: 200,
    body: { format: 'fractalops/stream-proof/1', project: 'default' },
  })
  t.equal((stream.body['leaves'] as unknown[]).length, 2)
  const window = await ask(
    '/v1/events/proof?type=order.placed&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z',
  )
  t.match(window, { status: 200, body: { format: 'fractalops/window-proof/1', before: null } })
  t.match(await ask('/v1/streams/order-1/proof?from=5'), { status: 422 })
  t.match(await ask('/v1/streams/order-9/proof'), { status: 404 })
  t.match(await ask('/v1/events/proof?type=order.placed&from=yesterday&to=today'), { status: 422 })
  t.equal((await api.send('GET', '/v1/streams/order-1/proof')).status, 401)
})
