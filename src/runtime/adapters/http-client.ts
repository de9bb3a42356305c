import { EvidenceError } from '../../contracts/errors.js'
import type { PostText } from '../../ledger/witness-request.js'

const requestTimeoutMs = 10_000
const answerBytesMax = 65_536

/** Posts a text and reads an answer of bounded size; follows no redirection. */
export const postText: PostText = async (url, body, signal) => {
  const response = await fetch(url, {
    method: 'POST',
    body,
    redirect: 'error',
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
  }).catch((cause: unknown) => {
    throw new EvidenceError('CHECKPOINT_NOT_WITNESSED', 'it does not answer', { cause })
  })
  const parts: Uint8Array[] = []
  let bytes = 0
  // Typed by the library as a stream of anything; fetch gives bytes.
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.length
    if (bytes > answerBytesMax)
      throw new EvidenceError('CHECKPOINT_NOT_WITNESSED', 'its answer is too large')
    parts.push(part)
  }
  const contentType = response.headers.get('content-type') ?? ''
  return { status: response.status, contentType, text: Buffer.concat(parts).toString('utf8') }
}
