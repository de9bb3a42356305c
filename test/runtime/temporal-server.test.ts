import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startTemporalServer } from '../../src/runtime/adapters/temporal-server.js'
import { startTimeOf } from '../../src/runtime/adapters/process-identity.js'
import { eventually } from '../support/product.js'
import { requireTemporal, startTemporal } from '../support/temporal.js'

const pidOf = (folder: string): number =>
  (JSON.parse(readFileSync(join(folder, 'server.json'), 'utf8')) as { pid: number }).pid

t.test(
  'a server that dies is started again on the same port, and ends at close',
  { skip: requireTemporal() },
  async (t) => {
    const { server, address, folder } = await startTemporal(t)
    const first = pidOf(folder)

    process.kill(first, 'SIGKILL')
    await eventually('the death being noticed', () =>
      server.state().status === 'ok' ? undefined : true,
    )
    t.equal(await eventually('the restart', () => server.address()), address)

    const second = pidOf(folder)
    t.not(second, first)
    const began = Date.now()
    await server.close()
    t.equal(startTimeOf(second), undefined, 'its process is gone')
    t.ok(Date.now() - began < 3_500, `a stop took ${Date.now() - began} ms`)
    t.equal(server.address(), undefined)
  },
)

t.test(
  'a server that outlived its service is adopted, even when its record was lost',
  { skip: requireTemporal() },
  async (t) => {
    const { address, folder } = await startTemporal(t)
    const pid = pidOf(folder)

    // The first supervisor stands for a service that was killed: it is told nothing and does nothing.
    const second = await startTemporal(t, { folder })
    t.equal(second.address, address)
    t.equal(pidOf(folder), pid)

    rmSync(join(folder, 'server.json'))
    const third = await startTemporal(t, { folder })
    t.equal(third.address, address)
    t.equal(pidOf(folder), pid)
  },
)

t.test('a port that another program holds is refused by name', async (t) => {
  const taken = createServer()
  await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done))
  t.teardown(() => taken.close())
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const folder = mkdtempSync(join(tmpdir(), 'fractalops-temporal-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))

  await t.rejects(
    startTemporalServer({
      folder,
      host: '127.0.0.1',
      port,
      environment: {},
      install: false,
      say: () => {},
    }),
    { code: 'ADDRESS_IN_USE', message: new RegExp(String(port)) },
  )
})

t.test('what is missing is said, and nothing is installed unasked', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fractalops-temporal-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const options = { folder, host: '127.0.0.1', port: 0, say: (line: string) => t.fail(line) }

  const unasked = await startTemporalServer({
    ...options,
    environment: { PATH: '/nowhere', HOME: folder },
    install: false,
  })
  t.teardown(() => unasked.close())
  const asked = await startTemporalServer({
    ...options,
    environment: { PATH: '/nowhere', HOME: folder },
    install: true,
  })
  t.teardown(() => asked.close())

  await eventually('the state being known', () =>
    unasked.state().status === 'down' ? true : undefined,
  )
  t.match(unasked.state().detail, /--install-temporal/)
  await eventually('the state being known', () =>
    asked.state().status === 'down' ? true : undefined,
  )
  t.match(asked.state().detail, /Go is not on PATH/)
})
