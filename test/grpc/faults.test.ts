import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Client, credentials as channel, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { fellBehindEvents } from '../../src/api/grpc/subscribe.js'
import {
  AppendRequest,
  ReadRequest,
  ReadResponse,
  type ReadResponse as Told,
} from '../../src/api/grpc/stream-messages.js'
import { identifierOf } from '../../src/api/grpc/stored-messages.js'
import { dataBytesMax, metadataBytesMax } from '../../src/ledger/event-store.js'
import {
  clientPackage,
  connectionTo,
  failureOf,
  openTestGrpc,
  openWithClient,
  type TestGrpc,
} from '../support/grpc.js'
import { collect } from '../support/ledger.js'
import { eventually } from '../support/product.js'

const lib = await clientPackage('@eventstore/db-client')
const placed = (fields: object = {}) =>
  lib.jsonEvent({ type: 'order.placed', data: { n: 1 }, ...fields })

/** Calls as any program may make them: what it does not read, nobody reads for it. */
function callsOf(t: Test, { address, admin }: TestGrpc) {
  const client = new Client(address, channel.createInsecure())
  t.teardown(() => client.close())
  const metadata = new Metadata()
  const pair = Buffer.from(`admin:${admin}`).toString('base64')
  metadata.set('authorization', `Basic ${pair}`)
  const asIs = (bytes: Buffer) => bytes
  return {
    follow: (stream: string) =>
      client.makeServerStreamRequest(
        '/event_store.client.streams.Streams/Read',
        (request: Parameters<typeof ReadRequest.encode>[0]) => ReadRequest.encode(request),
        (bytes: Buffer): Told => ReadResponse.decode(bytes),
        {
          options: {
            stream: { streamIdentifier: identifierOf(stream), start: {} },
            subscription: {},
          },
        },
        metadata,
      ),
    append: (answered: (error: ServiceError | null) => void) =>
      client.makeClientStreamRequest(
        '/event_store.client.streams.Streams/Append',
        (request: Parameters<typeof AppendRequest.encode>[0]) => AppendRequest.encode(request),
        asIs,
        metadata,
        answered,
      ),
  }
}

t.test(
  'an event that is too large is refused by its own error, in whatever way it comes',
  async (t) => {
    const { grpc, client, credentials } = await openWithClient(t, lib)
    const before = grpc.ledger.size()
    const tooLarge = [
      lib.binaryEvent({ type: 'big', data: Buffer.alloc(dataBytesMax + 1) }),
      placed({ metadata: Buffer.alloc(metadataBytesMax + 1, 'x') }),
    ]

    for (const event of tooLarge)
      for (const how of [{}, { credentials }]) {
        const error = await failureOf(client.appendToStream('order-1', event, how))
        t.ok(error instanceof lib.MaxAppendSizeExceededError, String(error))
      }
    const beyond = lib.binaryEvent({ type: 'big', data: Buffer.alloc(20 * 1024 * 1024) })
    await failureOf(client.appendToStream('order-1', beyond, { credentials }))

    t.equal(grpc.ledger.size(), before)
    await client.appendToStream('order-1', placed(), { credentials })
  },
)

t.test('an id that is no UUID is refused, and the next append goes on', async (t) => {
  const { grpc, client, credentials } = await openWithClient(t, lib)
  const before = grpc.ledger.size()

  for (const id of ['no uuid', '', '0'.repeat(36)])
    for (const how of [{}, { credentials }])
      await failureOf(client.appendToStream('order-1', { ...placed(), id }, how))

  t.equal(grpc.ledger.size(), before)
  await client.appendToStream('order-1', placed())
})

t.test(
  'what is no JSON is kept as metadata of an event, and refused as that of a stream',
  async (t) => {
    const { grpc, client } = await openWithClient(t, lib)
    const bytes = Buffer.from('{"half":')
    await client.appendToStream('order-1', placed({ metadata: bytes }))
    const before = grpc.ledger.size()

    const malformed = ['{"half":', '7', '"text"', '{"$maxCount":"two"}', '{"$maxAge":-1}']
    for (const data of malformed) {
      const event = lib.binaryEvent({ type: '$metadata', data: Buffer.from(data) })
      await failureOf(client.appendToStream('$$order-1', event))
    }

    t.equal(grpc.ledger.size(), before)
    const [read] = await collect(client.readStream('order-1'))
    t.strictSame(Buffer.from(read?.event?.metadata as Uint8Array), bytes)
  },
)

/** The view of a ledger that counts the events which one subscriber has taken from it. */
function counting(grpc: Pick<TestGrpc, 'parts'>) {
  const counts = { taken: 0 }
  const { ledger } = grpc.parts
  async function* counted<One>(those: AsyncIterable<One>): AsyncGenerator<One> {
    for await (const one of those) {
      counts.taken += 1
      yield one
    }
  }
  return {
    counts,
    ledger: {
      ...ledger,
      readStream: (read: Parameters<typeof ledger.readStream>[0]) =>
        counted(ledger.readStream(read)),
      subscribe: (options: Parameters<typeof ledger.subscribe>[0]) =>
        counted(ledger.subscribe(options)),
    },
  }
}

t.test('for a subscriber that stops reading nothing piles up, and it falls behind', async (t) => {
  const events = fellBehindEvents + 2_000
  const data = Buffer.alloc(2_000)
  const grpc = await openTestGrpc(t)
  const { counts, ledger } = counting(grpc)
  const slow = await openTestGrpc(t, { parts: { ...grpc.parts, ledger } })
  const subscription = callsOf(t, { ...slow, admin: grpc.admin }).follow('order-1')
  subscription.on('error', () => {})
  t.teardown(() => subscription.cancel())
  const told: string[] = []
  let seen = 0
  const take = (response: Told) => {
    if (response.event === undefined) told.push(Object.keys(response)[0] ?? '')
    else seen += 1
  }
  const both = new Promise<void>((resolve) => {
    subscription.on('data', (response: Told) => {
      take(response)
      if (told.includes('caughtUp')) resolve()
    })
  })
  await both
  subscription.pause()

  const writer = lib.connect(connectionTo(grpc, { name: 'admin', token: grpc.admin }))
  t.teardown(() => writer.dispose())
  const batch = () => Array.from({ length: 500 }, () => lib.binaryEvent({ type: 'scan', data }))
  for (let sent = 0; sent < events; sent += 500) await writer.appendToStream('order-1', batch())
  // Somebody else has read all of it meanwhile.
  t.equal((await collect(writer.readStream('order-1'))).length, Math.ceil(events / 500) * 500)
  const readAhead = counts.taken
  t.ok(readAhead < 1_000, `${readAhead} of ${events} events were read for it`)

  subscription.removeAllListeners('data')
  const all = Math.ceil(events / 500) * 500
  await new Promise<void>((resolve) => {
    subscription.on('data', (response: Told) => {
      take(response)
      if (seen === all && told.at(-1) === 'caughtUp') resolve()
    })
    subscription.resume()
  })
  t.strictSame(told, ['confirmation', 'caughtUp', 'fellBehind', 'caughtUp'])
})

/** Stands between a client and the server, and can cut what runs through it. */
async function openCutter(t: Test, grpc: TestGrpc) {
  const [host = '', port] = grpc.address.split(':')
  const sockets = new Set<Socket>()
  let cutAfterBytes = Number.POSITIVE_INFINITY
  const cut = () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  const server = createServer((near) => {
    const far = connect({ host, port: Number(port) })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (chunk) => {
      cutAfterBytes -= chunk.length
      far.write(chunk)
      if (cutAfterBytes > 0) return
      cutAfterBytes = Number.POSITIVE_INFINITY
      cut()
    })
    far.pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    cut()
    server.close()
  })
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cutAfter(bytes: number) {
      cutAfterBytes = bytes
    },
  }
}

t.test(
  'appends that a lost connection cut are sent again, and each event stands once',
  async (t) => {
    const grpc = await openTestGrpc(t)
    const cutter = await openCutter(t, grpc)
    const admin = { name: 'admin', token: grpc.admin }
    const through = () => {
      const client = lib.connect(connectionTo({ ...grpc, address: cutter.address }, admin))
      t.teardown(() => client.dispose())
      return client
    }
    const events = Array.from({ length: 400 }, () => placed({ id: randomUUID() }))
    let client = through()
    let failures = 0

    let cutting = 5
    for (let left = events; left.length > 0;) {
      if (cutting > 0) cutter.cutAfter(4_000 * cutting)
      cutting -= 1
      const outcomes = await Promise.allSettled(
        left.map((event) => client.appendToStream('order-1', event, { deadline: 20_000 })),
      )
      left = left.filter((_, i) => outcomes[i]?.status === 'rejected')
      failures += left.length
      if (left.length > 0) client = through()
    }

    t.ok(failures > 0, 'some were cut')
    const stored = await collect(grpc.ledger.readStream({ project: 'default', stream: 'order-1' }))
    t.strictSame(stored.map(({ leaf }) => leaf.id).sort(), events.map(({ id }) => id).sort())
  },
)

t.test(
  'a client that is writing when the server ends is told that it is unavailable',
  async (t) => {
    const grpc = await openTestGrpc(t)
    const before = grpc.ledger.size()
    let answered: (error: ServiceError | null) => void = () => {}
    const answer = new Promise<ServiceError | null>((resolve) => {
      answered = resolve
    })
    const call = callsOf(t, grpc).append(answered)
    call.write({ options: { streamIdentifier: identifierOf('order-1'), any: {} } })
    call.write({
      proposedMessage: {
        id: { text: randomUUID() },
        metadata: { type: 'order.placed', 'content-type': 'application/json' },
        data: Buffer.from('{}'),
      },
    })
    // The server has seen what was written before a call that came after it.
    await collect(
      (() => {
        const client = lib.connect(connectionTo(grpc, { name: 'admin', token: grpc.admin }))
        t.teardown(() => client.dispose())
        return client.readAll({ maxCount: 1 })
      })(),
    )

    await grpc.restart()

    t.equal((await answer)?.code, status.UNAVAILABLE)
    t.equal(grpc.ledger.size(), before, 'half an append is none')
  },
)

t.test('pings are answered, as many as come', async (t) => {
  const grpc = await openTestGrpc(t)
  const session = connectHttp2(`http://${grpc.address}`)
  t.teardown(() => session.destroy())
  await once(session, 'connect')
  const ping = () =>
    new Promise<void>((resolve, reject) => {
      session.ping((error) => (error === null ? resolve() : reject(error)))
    })

  for (let i = 0; i < 50; i += 1) await ping()

  t.notOk(session.closed)
})

t.test('calls of a group that is not there are told so, and end', async (t) => {
  const { client } = await openWithClient(t, lib)
  const missing = lib.PersistentSubscriptionDoesNotExistError

  for (const attempt of [
    () => collect(client.subscribeToPersistentSubscriptionToStream('order-1', 'nobody')),
    () => collect(client.subscribeToPersistentSubscriptionToAll('nobody')),
    () => client.getPersistentSubscriptionToStreamInfo('order-1', 'nobody'),
    () => client.deletePersistentSubscriptionToAll('nobody'),
    () => client.replayParkedMessagesToAll('nobody'),
  ]) {
    const error = await failureOf(attempt())
    t.ok(error instanceof missing, String(error))
  }
})

t.test('a message that nobody acknowledges is given again, and parked in the end', async (t) => {
  const { client } = await openWithClient(t, lib)
  await client.appendToStream('order-1', placed())
  await client.createPersistentSubscriptionToStream(
    'order-1',
    'workers',
    lib.persistentSubscriptionToStreamSettingsFromDefaults({
      startFrom: lib.START,
      messageTimeout: 50,
      maxRetryCount: 2,
    }),
  )
  const retries: number[] = []
  client
    .subscribeToPersistentSubscriptionToStream('order-1', 'workers')
    .on('data', ({ retryCount }) => retries.push(retryCount))
    .on('error', () => {})

  await eventually('it being parked', async () => {
    const { stats } = await client.getPersistentSubscriptionToStreamInfo('order-1', 'workers')
    return stats.parkedMessageCount === 1n ? true : undefined
  })
  t.strictSame(retries, [0, 1, 2])
})
