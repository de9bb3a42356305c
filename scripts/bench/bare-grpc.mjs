// gRPC with nothing around it: HTTP/2 and the frames of messages, no client library. What it costs itself is as
// little as Node allows, so that it tells what the server can do.
import { once } from 'node:events'
import { connect } from 'node:http2'

const windowBytes = 16 * 1024 * 1024
const prefixBytes = 5

/** A message behind its five bytes of frame. */
export function framed(message) {
  const frame = Buffer.allocUnsafe(prefixBytes + message.length)
  frame[0] = 0
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, prefixBytes)
  return frame
}

export async function bareGrpc(address) {
  const session = connect(`http://${address}`, { settings: { initialWindowSize: windowBytes } })
  await once(session, 'connect')
  session.setLocalWindowSize(windowBytes)

  return {
    /** One call; `onMessage` is told of every message that arrives, as bytes. */
    call(path, onMessage) {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      let rest = Buffer.alloc(0)
      let status
      stream.on('trailers', (trailers) => (status = trailers['grpc-status']))
      stream.on('data', (chunk) => {
        let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
        while (data.length >= prefixBytes) {
          const end = prefixBytes + data.readUInt32BE(1)
          if (data.length < end) break
          onMessage(data.subarray(prefixBytes, end))
          data = data.subarray(end)
        }
        rest = data
      })
      const ended = once(stream, 'close').then(() => {
        if (status !== undefined && status !== '0') throw new Error(`${path} ended with ${status}`)
      })
      ended.catch(() => undefined)
      return {
        send: (message) => stream.write(framed(message)),
        end: () => stream.end(),
        cancel: () => stream.close(8),
        ended,
      }
    },
    close: () => session.destroy(),
  }
}
