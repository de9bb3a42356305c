import { connect, type IncomingHttpHeaders } from 'node:http2'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { framed, messagesOf } from '../../src/api/grpc/message-frames.js'
import { ReadRequest } from '../../src/api/grpc/stream-messages.js'
import { failureOf, openTestGrpc, type TestGrpc } from '../support/grpc.js'
import { collect } from '../support/ledger.js'

const limits = { encoding: 'identity', bytesMax: 1_000 }

async function* pieces(bytes: Buffer, cuts: readonly number[]) {
  let from = 0
  for (const cut of [...cuts].map((one) => one % (bytes.length + 1)).sort((a, b) => a - b)) {
    yield bytes.subarray(from, cut)
    from = cut
  }
  yield bytes.subarray(from)
}

t.test('messages arrive as they were sent, wherever the bytes between them are cut', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (messages, cuts) => {
        const sent = Buffer.concat(messages.map(framed))
        const arrived = await collect(messagesOf(pieces(sent, cuts), limits))
        t.strictSame(
          arrived.map((one) => Buffer.from(one)),
          messages.map((one) => Buffer.from(one)),
        )
      },
    ),
    { numRuns: 200 },
  )
})

t.test(
  'a message that is too long, cut off or compressed with nobody knows what is refused',
  async (t) => {
    const frame = framed(Buffer.alloc(1_001))
    const compressed = framed(gzipSync(Buffer.alloc(1_001)))
    compressed[0] = 1
    const refused = async (bytes: Buffer, encoding: string, exception: string) => {
      const messages = messagesOf(pieces(bytes, []), { encoding, bytesMax: 1_000 })
      t.match(await failureOf(collect(messages)), { exception })
    }

    await refused(frame, 'identity', 'message-too-long')
    await refused(compressed, 'gzip', 'message-too-long')
    await refused(framed(Buffer.from('abc')).subarray(0, 7), 'identity', 'message-cut')
    await refused(compressed, 'snappy', 'encoding-unknown')
    const small = framed(gzipSync('abc'))
    small[0] = 1
    const [message] = await collect(
      messagesOf(pieces(small, [3]), { encoding: 'gzip', bytesMax: 99 }),
    )
    t.equal(message?.toString(), 'abc')
  },
)

/** One call over bare HTTP/2: what came back of it. */
async function call({ address, admin }: TestGrpc, path: string, headers = {}, body?: Buffer) {
  const session = connect(`http://${address}`)
  const authorization = `Bearer ${admin}`
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    authorization,
    ...headers,
  })
  let answered: IncomingHttpHeaders = {}
  stream.on('response', (told) => (answered = { ...answered, ...told }))
  stream.on('trailers', (told: IncomingHttpHeaders) => (answered = { ...answered, ...told }))
  if (body !== undefined) stream.end(framed(body))
  await collect(messagesOf(stream, { encoding: 'identity', bytesMax: 1_000_000 }))
  session.destroy()
  return { status: answered['grpc-status'], http: answered[':status'] }
}

const readPath = '/event_store.client.streams.Streams/Read'

t.test('calls end with the status that gRPC has for it', async (t) => {
  const grpc = await openTestGrpc(t)
  const following = ReadRequest.encode({
    options: { all: { start: {} }, noFilter: {}, subscription: {}, uuidOption: { text: {} } },
  })

  const unknown = await call(grpc, '/a/b', {}, following)
  const other = await call(grpc, readPath, { 'content-type': 'text/plain' }, following)
  const late = await call(grpc, readPath, { 'grpc-timeout': '100m' }, following)
  const never = await call(grpc, readPath, { 'grpc-timeout': '1n' })
  const malformed = await call(grpc, readPath, {}, Buffer.from([0xff]))

  t.match(unknown, { status: '12', http: 200 }, 'UNIMPLEMENTED')
  t.match(other, { http: 415 })
  t.equal(late.status, '4', 'DEADLINE_EXCEEDED ends a subscription')
  t.equal(never.status, '4', 'and a call whose client sends nothing')
  t.equal(malformed.status, '3', 'INVALID_ARGUMENT')
})
