// Servers that a figure starts and ends: always the one process that was started, by its own handle.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

const startMsMax = 60_000
const outputCharsMax = 20_000

const running = new Set()

/** Ends at once whatever was started here and still runs. */
export function endServers() {
  for (const child of running) child.kill('SIGKILL')
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Starts a program and waits until `isReady` answers something; what it answers is `ready`. */
export async function startServer(
  program,
  args,
  isReady,
  { env, user = {}, signal = 'SIGTERM' } = {},
) {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...user,
  })
  let output = ''
  const keep = (chunk) => (output = (output + chunk).slice(-outputCharsMax))
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  running.add(child)
  const ended = new Promise((done) => child.once('close', done)).then(() => running.delete(child))
  child.once('error', (error) => keep(error.message))
  const stop = async (how = signal) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(how)
    await ended
  }
  const end = Date.now() + startMsMax
  for (;;) {
    try {
      const ready = await isReady()
      if (ready !== undefined) return { child, ready, stop, output: () => output }
    } catch (error) {
      if (Date.now() > end) {
        await stop('SIGKILL')
        throw new Error(`${program} did not become ready:\n${output}`, { cause: error })
      }
    }
    if (child.exitCode !== null)
      throw new Error(`${program} ended with ${child.exitCode}:\n${output}`)
    await pause(50)
  }
}
