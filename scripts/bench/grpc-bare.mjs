// What the server can do when the client costs next to nothing.
import { randomUUID } from 'node:crypto'
import { bareGrpc } from './bare-grpc.mjs'
import { drafts } from './events.mjs'
import { product } from './product.mjs'

const streams = '/event_store.client.streams.Streams'
const groups = '/event_store.client.persistent_subscriptions.PersistentSubscriptions'
const encoder = new TextEncoder()
const countMax = 2 ** 53

const identifier = (stream) => ({ streamName: encoder.encode(stream) })

/** Appends in batches over one call. */
export async function bareBatches({ grpc }) {
  const { BatchAppendRequest, BatchAppendResponse } = await product('api/grpc/stream-messages.js')
  const bare = await bareGrpc(grpc)
  const waiting = new Map()
  const call = bare.call(`${streams}/BatchAppend`, (message) => {
    const { correlationId, success, error } = BatchAppendResponse.decode(message)
    const { done, failed } = waiting.get(correlationId.text)
    waiting.delete(correlationId.text)
    if (success === undefined) failed(new Error(error?.message))
    else done()
  })
  return {
    async append(stream, count) {
      const id = randomUUID()
      const answered = new Promise((done, failed) => waiting.set(id, { done, failed }))
      const proposedMessages = drafts(count).map(({ id: text, type, data }) => ({
        id: { text },
        metadata: { type, 'content-type': 'application/octet-stream' },
        data,
      }))
      const options = { streamIdentifier: identifier(stream), any: {} }
      call.send(
        BatchAppendRequest.encode(
          {
            correlationId: { text: id },
            options,
            proposedMessages,
            isFinal: true,
          },
          640 * count,
        ),
      )
      await answered
      return count
    },
    close() {
      call.end()
      bare.close()
    },
  }
}

/** Events of a stream, or of `$all`, a second, as messages that are counted and not looked at. */
export async function bareReads({ grpc }, { stream, ms }) {
  const { ReadRequest } = await product('api/grpc/stream-messages.js')
  const bare = await bareGrpc(grpc)
  const what =
    stream === undefined
      ? { all: { start: {} }, noFilter: {} }
      : { stream: { streamIdentifier: identifier(stream), start: {} } }
  const began = performance.now()
  let count = 0
  const call = bare.call(`${streams}/Read`, () => {
    count += 1
    if (performance.now() - began > ms) call.cancel()
  })
  call.send(ReadRequest.encode({ options: { ...what, count: countMax, uuidOption: { text: {} } } }))
  call.end()
  await call.ended.catch(() => undefined)
  bare.close()
  return Math.round((count * 1000) / (performance.now() - began))
}

/** A consumer of a group that acknowledges each event in a message of its own. */
export async function bareAcks({ grpc }, group, { stream, events, bufferSize }, ms) {
  const { ConsumeRequest, ConsumeResponse } = await product('api/grpc/group-messages.js')
  const bare = await bareGrpc(grpc)
  const began = performance.now()
  let count = 0
  const call = bare.call(`${groups}/Read`, (message) => {
    const { event } = ConsumeResponse.decode(message)
    if (event === undefined) return
    count += 1
    call.send(ConsumeRequest.encode({ ack: { ids: [event.event.id] } }))
    if (count === events || performance.now() - began > ms) call.cancel()
  })
  const options = {
    streamIdentifier: identifier(stream),
    group,
    bufferSize,
    uuidOption: { text: {} },
  }
  call.send(ConsumeRequest.encode({ options }))
  await call.ended.catch(() => undefined)
  bare.close()
  return Math.round((count * 1000) / (performance.now() - began))
}
