import { once } from 'node:events'
import { createInterface } from 'node:readline'
import * as z from 'zod'
import { openEngine } from './adapters/chdb.js'
import { serveClickHouse } from './adapters/clickhouse-http.js'

/**
 * The warehouse process: an embedded ClickHouse engine behind its HTTP interface. Its order is the
 * first line of standard input, so that the password stands in no argument and no environment; its
 * address is the only line on standard output; when standard input ends, its parent is gone or
 * wants it to end.
 */
const Order = z.strictObject({
  folder: z.string(),
  host: z.string(),
  port: z.int().min(0).max(65_535),
  password: z.string().min(16),
})

const endMs = 1_200
const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`)
const isInUse = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'

async function main(): Promise<void> {
  // Ctrl-C reaches the whole process group; the parent decides when this process ends.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => undefined)
  const lines = createInterface({ input: process.stdin })
  const [line] = (await once(lines, 'line')) as [string]
  const order = Order.parse(JSON.parse(line))
  const ended = once(lines, 'close')

  const engine = openEngine(order.folder)
  const { server, host, port } = await serveClickHouse(engine, order)
  say({ ready: { host, port, pid: process.pid } })

  await ended
  // A write that takes longer is cut off as by a crash: its range is written again.
  setTimeout(() => process.exit(0), endMs)
  server.close()
  server.closeAllConnections()
  await engine.close()
  process.exit(0)
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error)
  say({ failed: { code: isInUse(error) ? 'ADDRESS_IN_USE' : 'WAREHOUSE_UNAVAILABLE', message } })
  process.exit(1)
})
