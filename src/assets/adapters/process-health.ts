import { get } from 'node:http'

/** What a health URL answered, or why it did not. */
export type HealthAnswer =
  { readonly status: number; readonly body: string } | { readonly error: string }

const healthTimeoutMs = 2_000
const bodyBytesMax = 65_536
/** As much of the answer as is kept as evidence. */
const bodyCharactersKept = 256

const portPlaceholder = '{port}'

/** The health URL of a replica; `localhost` is an address here, whatever the machine resolves it to. */
export function healthUrlOf(template: string, port: number): URL {
  const url = new URL(template.replace(portPlaceholder, String(port)))
  if (url.hostname === 'localhost') url.hostname = '127.0.0.1'
  return url
}

export const isHealthy = (answer: HealthAnswer): boolean =>
  'status' in answer && answer.status >= 200 && answer.status <= 299

export const healthInWords = (answer: HealthAnswer): string =>
  'status' in answer ? `${answer.status} ${answer.body.trim()}`.trim() : answer.error

/** One GET: no redirect is followed, no more than the bounds is read or waited for. */
export const askHealth = (url: URL): Promise<HealthAnswer> =>
  new Promise((resolve) => {
    const signal = AbortSignal.timeout(healthTimeoutMs)
    const fail = (error: Error) =>
      resolve({
        error: signal.aborted
          ? `no answer within ${healthTimeoutMs} ms`
          : 'code' in error
            ? String(error.code)
            : error.message,
      })
    const request = get(
      url,
      { agent: false, signal, headers: { connection: 'close' } },
      (response) => {
        const status = response.statusCode ?? 0
        const chunks: Buffer[] = []
        let size = 0
        const done = () => {
          const text = Buffer.concat(chunks).toString('utf8')
          // What cannot stand in a text of the ledger is left out of it.
          resolve({ status, body: text.toWellFormed().slice(0, bodyCharactersKept).toWellFormed() })
        }
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          chunks.push(chunk)
          if (size > bodyBytesMax) {
            done()
            response.destroy()
          }
        })
        response.on('end', done)
        response.on('error', fail)
      },
    )
    request.on('error', fail)
  })
