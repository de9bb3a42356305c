// Requests over kept connections, as many at a time as there are callers. It shares the machine with the
// server it asks, so what it costs itself counts against the server, whoever that is.
import { Agent, request } from 'node:http'
import { quantile } from './statistics.mjs'

export function httpClient(url, headers = {}) {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
  const send = (method, path, body, more = {}) =>
    new Promise((done, failed) => {
      const sent = request(
        `${url}${path}`,
        { method, agent, headers: { ...headers, ...more } },
        (answer) => {
          const chunks = []
          answer.on('data', (chunk) => chunks.push(chunk))
          answer.on('error', failed)
          answer.on('end', () => done({ status: answer.statusCode, body: Buffer.concat(chunks) }))
        },
      )
      sent.on('error', failed)
      sent.end(body)
    })
  return {
    async send(...args) {
      const answer = await send(...args)
      if (answer.status !== 200)
        throw new Error(
          `${args[0]} ${args[1]} answered ${answer.status}: ${answer.body.toString().slice(0, 300)}`,
        )
      return answer.body
    },
    close: () => agent.destroy(),
  }
}

/** `one` is called by every caller again and again; it answers how many things it did, 0 = no more. */
export async function load(callers, ms, one) {
  const latencies = []
  let done = 0
  const began = performance.now()
  const deadline = began + ms
  const caller = async (_, number) => {
    for (let at = performance.now(); at < deadline;) {
      const count = await one(number)
      if (count === 0) break
      const after = performance.now()
      done += count
      latencies.push(after - at)
      at = after
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return {
    done,
    per_second: Math.round((done * 1000) / (performance.now() - began)),
    p50_ms: quantile(latencies, 0.5),
    p99_ms: quantile(latencies, 0.99),
  }
}
