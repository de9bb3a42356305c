import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createCounters } from '../../src/api/metrics.js'
import { createRawLeafLane } from '../../src/api/raw-leaf-lane.js'
import { utf8 } from '../../src/ledger/encoding.js'
import { rawLeafBytesMax } from '../../src/ledger/raw-leaf.js'
import { openTestLedger } from '../support/ledger.js'

const authorization = 'Bearer hammer'

/** A server in which 418 stands for the long way. */
async function openLane(t: Test) {
  const { ledger } = await openTestLedger(t, { interoperability: true })
  const clock = { nowMs: 5_000 }
  const lane = createRawLeafLane(ledger, createCounters(), () => clock.nowMs)
  const server = createServer((request, response) => {
    if (lane.take(request, response)) return
    request.resume()
    response.writeHead(418).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const host = `127.0.0.1:${port}`
  const add = (body: Uint8Array | ReadableStream, headers = {}, path = '/add') =>
    fetch(`http://${host}${path}`, {
      method: 'POST',
      body,
      headers: { authorization, connection: 'close', ...headers },
      ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
    })
  return { lane, ledger, clock, host, add }
}

t.test('who was let in takes the lane for a second, with exactly the same headers', async (t) => {
  const { lane, ledger, clock, host, add } = await openLane(t)
  t.equal((await add(utf8('one'))).status, 418, 'nobody was let in')

  lane.admit({ host, authorization })
  const answer = await add(utf8('one'))
  t.equal(answer.status, 200)
  t.equal(await answer.text(), '0')
  t.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
  t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  t.equal((await add(utf8('one'), { authorization: 'Bearer other' })).status, 418)

  clock.nowMs += 999
  t.equal(await (await add(utf8('two'))).text(), '1')
  clock.nowMs += 1
  t.equal((await add(utf8('three'))).status, 418, 'a revocation is felt after a second')
  t.equal(ledger.size(), 2)
})

t.test('what is not plain goes the long way, untouched', async (t) => {
  const { lane, ledger, host, add } = await openLane(t)
  lane.admit({ host, authorization })
  const streamed = new Blob(['one']).stream()
  for (const [name, answer] of [
    ['no byte', add(new Uint8Array())],
    ['too large', add(new Uint8Array(rawLeafBytesMax + 1))],
    ['no length', add(streamed)],
    ['another path', add(utf8('one'), {}, '/add?x=1')],
  ] as const)
    t.equal((await answer).status, 418, name)
  t.equal(ledger.size(), 0)
})

t.test('what the ledger refuses is answered as everywhere', async (t) => {
  const { lane, ledger, host, add } = await openLane(t)
  lane.admit({ host, authorization })
  const answer = await add(utf8('fractalops/leaf/1\n{}'))
  t.equal(answer.status, 422)
  t.match(answer.headers.get('content-type'), /application\/problem\+json/)
  t.match(await answer.json(), { code: 'REQUEST_INVALID', instance: '/add' })
  t.equal(ledger.size(), 0)
})
