import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import t from 'tap'
import { appendBytesMax } from '../../src/api/grpc/status.js'
import { clientPackage, connectionTo, openTestGrpc, type TestGrpc } from '../support/grpc.js'
import { collect } from '../support/ledger.js'

const lib = await clientPackage('@eventstore/db-client')

interface Asked {
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly auth?: string
  readonly body?: string | Buffer
}

async function ask(grpc: TestGrpc, secure: boolean, asked: Asked) {
  const { path, method = 'GET', headers = {}, auth, body } = asked
  const [host, port] = grpc.address.split(':')
  const options = { host, port, path, method, headers, ...(auth === undefined ? {} : { auth }) }
  const call = secure
    ? httpsRequest({ ...options, ca: readFileSync(grpc.authority) })
    : httpRequest(options)
  call.end(body)
  const [response] = (await once(call, 'response')) as [
    NodeJS.ReadableStream & { statusCode: number; statusMessage: string },
  ]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(Buffer.from(chunk))
  const text = Buffer.concat(chunks).toString()
  return {
    status: response.statusCode,
    reason: response.statusMessage,
    body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>),
  }
}

t.test(
  'whether it lives and who leads is told over HTTP, on the same port, with TLS and without',
  async (t) => {
    const grpc = await openTestGrpc(t)
    const port = Number(grpc.address.split(':')[1])

    for (const secure of [true, false]) {
      t.match(await ask(grpc, secure, { path: '/ping' }), {
        status: 200,
        body: { msgTypeId: Number, text: 'Ping request successfully handled' },
      })
      t.match(await ask(grpc, secure, { path: '/health/live' }), { status: 204 })
      t.match(await ask(grpc, secure, { path: '/gossip?format=json' }), {
        status: 200,
        body: { members: [{ state: 'Leader', isAlive: true, httpEndPointPort: port }] },
      })
      t.match(await ask(grpc, secure, { path: '/info' }), {
        status: 200,
        body: { state: 'leader' },
      })
      for (const [method, path] of [
        ['POST', '/nowhere'],
        ['GET', '//'],
        ['GET', '/streams/order-1'],
        ['DELETE', '/ping'],
        ['PUT', '/%zz'],
      ] as const)
        t.match(await ask(grpc, secure, { method, path }), { status: 404, reason: 'Not Found' })
    }
  },
)

t.test('one event is appended over HTTP as over gRPC, whatever its data', async (t) => {
  const grpc = await openTestGrpc(t)
  const auth = `admin:${grpc.admin}`
  const path = '/streams/orders%20of%20today'
  const headers = { 'es-eventtype': 'order.placed', 'content-type': 'application/json' }

  const appended = await ask(grpc, true, { method: 'POST', path, auth, headers, body: '****' })
  t.equal(appended.status, 201)

  const client = lib.connect(connectionTo(grpc, { name: 'admin', token: grpc.admin }))
  t.teardown(() => client.dispose())
  const [read] = await collect(client.readStream('orders of today'))
  t.match(read?.event, { type: 'order.placed', data: '****' })
  const before = grpc.ledger.size()
  const intake = `probe:${await grpc.token('probe', 'intake')}`
  const refused: readonly [number, Asked][] = [
    [401, { path, headers }],
    [401, { path, headers, auth: 'admin:changeit' }],
    [403, { path, headers, auth: intake }],
    [400, { path, auth }],
    [400, { path, auth, headers: { ...headers, 'es-eventid': 'none' } }],
    [400, { path: '/streams/%zz', auth, headers }],
    [400, { path: '/streams/$all', auth, headers }],
    [
      403,
      {
        path: '/streams/asset-web',
        auth,
        headers: { ...headers, 'es-eventtype': 'asset.mutated' },
      },
    ],
    [413, { path, auth, headers, body: Buffer.alloc(appendBytesMax + 1) }],
  ]
  for (const [status, asked] of refused)
    t.equal((await ask(grpc, true, { method: 'POST', body: '{}', ...asked })).status, status)
  // Issuing the token of intake is an event too.
  t.equal(grpc.ledger.size(), before + 1)
})

t.test('what a connection speaks is told however its first bytes arrive', async (t) => {
  const grpc = await openTestGrpc(t)
  const [host = '', port] = grpc.address.split(':')
  const answers = async (first: string, rest: string) => {
    const socket = connect({ host, port: Number(port) })
    await once(socket, 'connect')
    socket.setNoDelay(true)
    socket.write(first)
    await new Promise(setImmediate)
    socket.write(rest)
    const [data] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    return data
  }

  t.match((await answers('G', 'ET /ping HTTP/1.1\r\nHost: x\r\n\r\n')).toString(), /^HTTP\/1.1 200/)
  t.match((await answers('PO', 'ST /x HTTP/1.1\r\nHost: x\r\n\r\n')).toString(), /^HTTP\/1.1 404/)
  const settings = await answers('PR', 'I * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
  t.equal(settings[3], 4, 'a frame of settings')
})
