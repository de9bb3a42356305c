// A small real web server: what the example proposals start, scale, configure and stop.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { HOST = '127.0.0.1', PORT = '8080', REPLICA = '0', CONFIGURATION_FILE } = process.env
const stopMs = 1_000

/** Read once: a running replica keeps the configuration it was started with. */
function readConfiguration() {
  if (CONFIGURATION_FILE === undefined) return { configuration: {}, problem: null }
  try {
    const text = readFileSync(CONFIGURATION_FILE, 'utf8')
    return { configuration: text.trim() === '' ? {} : JSON.parse(text), problem: null }
  } catch (error) {
    return { configuration: {}, problem: `the configuration cannot be read: ${error.message}` }
  }
}

const { configuration, problem } = readConfiguration()
const generation = (process.env.FRACTALOPS_SUPERVISED ?? '').split('/').at(-1) || 'none'

function healthz() {
  if (problem !== null) return [500, { status: 'failed', problem }]
  if (configuration.fail_health === true) {
    return [500, { status: 'failed', problem: 'the configuration says fail_health' }]
  }
  return [200, { status: 'ok' }]
}

const pages = {
  '/': () => [
    200,
    {
      greeting: configuration.greeting ?? 'hello',
      replica: Number(REPLICA),
      pid: process.pid,
      generation,
    },
  ],
  '/healthz': healthz,
}

const server = createServer((request, response) => {
  const page = pages[request.url?.split('?')[0] ?? '/']
  const [status, body] = page === undefined ? [404, { status: 'not found' }] : page()
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body) + '\n')
})

server.listen(Number(PORT), HOST, () =>
  console.log(`replica ${REPLICA} listens on ${HOST}:${PORT}`),
)

process.once('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
  setTimeout(() => process.exit(0), stopMs).unref()
})
