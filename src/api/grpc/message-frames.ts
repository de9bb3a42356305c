import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'
import { status } from '@grpc/grpc-js'
import { ProtocolError } from './status.js'

/** Every message of gRPC is preceded by whether it is compressed and by how long it is. */
export const frameBytes = 5
const compressedMark = 1

type Expand = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>
const expanders: Readonly<Record<string, Expand>> = {
  gzip: promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip),
  deflate: promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate),
}
/** What a client may compress its messages with. */
export const encodingsTaken = ['identity', ...Object.keys(expanders)].join(',')

const tooLong = (bytesMax: number) =>
  new ProtocolError(
    status.RESOURCE_EXHAUSTED,
    'message-too-long',
    `a message may have at most ${bytesMax} bytes`,
  )

/** Takes the messages of a call apart; each is a part of what arrived, or a copy where it came in pieces. */
export async function* messagesOf(
  chunks: AsyncIterable<Buffer>,
  { encoding, bytesMax }: { readonly encoding: string; readonly bytesMax: number },
): AsyncGenerator<Buffer> {
  let held: Buffer[] = []
  let heldBytes = 0
  let wantedBytes = frameBytes
  for await (const chunk of chunks) {
    held.push(chunk)
    heldBytes += chunk.length
    if (heldBytes < wantedBytes) continue
    let rest = held.length === 1 ? chunk : Buffer.concat(held, heldBytes)
    for (;;) {
      wantedBytes = frameBytes
      if (rest.length < wantedBytes) break
      const length = rest.readUInt32BE(1)
      if (length > bytesMax) throw tooLong(bytesMax)
      wantedBytes += length
      if (rest.length < wantedBytes) break
      const message = rest.subarray(frameBytes, wantedBytes)
      yield rest[0] === compressedMark ? await expanded(message, encoding, bytesMax) : message
      rest = rest.subarray(wantedBytes)
    }
    held = rest.length === 0 ? [] : [rest]
    heldBytes = rest.length
  }
  if (heldBytes > 0)
    throw new ProtocolError(status.INTERNAL, 'message-cut', 'the call ended within a message')
}

async function expanded(message: Buffer, encoding: string, bytesMax: number): Promise<Buffer> {
  const expand = expanders[encoding]
  if (expand === undefined)
    throw new ProtocolError(
      status.UNIMPLEMENTED,
      'encoding-unknown',
      `messages are compressed with one of ${encodingsTaken}, not with ${encoding}`,
    )
  try {
    return await expand(message, { maxOutputLength: bytesMax })
  } catch (cause) {
    if (cause instanceof RangeError) throw tooLong(bytesMax)
    throw new ProtocolError(
      status.INTERNAL,
      'message-cut',
      'a message cannot be expanded',
      {},
      { cause },
    )
  }
}

/** A message with its frame before it. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameBytes + message.length)
  frame[0] = 0
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, frameBytes)
  return frame
}
