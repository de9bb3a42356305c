// Raw leaves over HTTP under the load generator of Tessera: our `/add` and Tessera's own POSIX server, the
// same flags, one after the other. What counts is how the signed tree grows.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { eventBytes } from '../events.mjs'
import { tesseraProgram } from '../peers.mjs'
import { freePort, startServer } from '../processes.mjs'
import { issueToken, product, startProduct } from '../product.mjs'
import { median, ratioOf } from '../statistics.mjs'

export const title = 'POST /add under the hammer of Tessera'
const writers = 512
/** The tree of Tessera grows once a second: a window must hold several steps. */
const windowSecondsMin = 4
const settleMs = 1_000
const lookMs = 20

async function ours(folder) {
  const served = await startProduct(folder, { flags: ['--interoperability'] })
  const token = await issueToken(served, 'hammer', ['intake'])
  const key = await (await fetch(`${served.url}/v1/checkpoint/key`)).text()
  return { url: served.url, key: key.trim(), token, stop: served.stop }
}

async function tessera(folder) {
  const { openKeyFile } = await product('ledger/adapters/key-file.js')
  mkdirSync(folder, { recursive: true })
  const keyFile = join(folder, 'key')
  const { vkey } = await openKeyFile(keyFile, 'bench.example/tessera', true)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const args = [`--storage_dir=${join(folder, 'log')}`, `--listen=127.0.0.1:${port}`]
  const isReady = async () => ((await fetch(`${url}/checkpoint`)).ok ? url : undefined)
  const { stop } = await startServer(tesseraProgram('posix'), args, isReady, {
    env: { LOG_PRIVATE_KEY: readFileSync(keyFile, 'utf8').trim() },
    signal: 'SIGKILL',
  })
  return { url, key: vkey, stop }
}

const sizeOf = async (url) =>
  Number((await (await fetch(`${url}/checkpoint`)).text()).split('\n')[1])

/** Leaves a second between the first and the last step that the tree makes while the hammer runs. */
async function hammer({ url, key, token }, seconds) {
  const args = [
    ...[`--log_url=${url}/`, `--write_log_url=${url}/`, `--log_public_key=${key}`],
    ...[`--num_writers=${writers}`, '--max_write_ops=1000000', `--leaf_min_size=${eventBytes}`],
    ...['--num_readers_full=0', '--num_readers_random=0', '--dup_chance=0', '--show_ui=false'],
    ...(token === undefined ? [] : [`--bearer_token_write=${token}`]),
  ]
  const child = spawn(tesseraProgram('hammer'), args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  child.stderr.on('data', (chunk) => (output = (output + chunk).slice(-4_000)))
  const ended = once(child, 'close')
  try {
    await pause(settleMs)
    const steps = []
    const end = performance.now() + seconds * 1000
    for (let last = await sizeOf(url); performance.now() < end; await pause(lookMs)) {
      const size = await sizeOf(url)
      if (size > last) steps.push({ size, at: performance.now() })
      last = size
    }
    const [first, last] = [steps[0], steps.at(-1)]
    if (child.exitCode !== null || first === undefined || first === last)
      throw new Error(`the tree did not grow under the hammer:\n${output}`)
    return ((last.size - first.size) * 1000) / (last.at - first.at)
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

export async function measure(run) {
  for (const program of ['hammer', 'posix']) tesseraProgram(program)
  run.say('POST /add under the hammer')
  mkdirSync(run.folder, { recursive: true })
  const servers = {}
  const rates = { ledger: [], tessera: [] }
  try {
    servers.ledger = await ours(join(run.folder, 'ledger'))
    servers.tessera = await tessera(join(run.folder, 'tessera'))
    const seconds = Math.max(windowSecondsMin, run.seconds)
    for (let round = 0; round < run.rounds; round += 1)
      for (const [name, server] of Object.entries(servers))
        rates[name].push(await hammer(server, seconds))
  } finally {
    for (const server of Object.values(servers)) await server.stop()
  }
  const ledger = Math.round(median(rates.ledger))
  const posix = Math.round(median(rates.tessera))
  const name = 'HTTP /add beside Tessera POSIX, leaves a second'
  return {
    title,
    ratios: [{ name, value: ratioOf(ledger, posix), target: 1.5 }],
    ledger,
    tessera: posix,
  }
}

export const tables = ({ ledger, tessera: posix }) => [
  {
    caption: `Leaves of ${eventBytes} hexadecimal digits and a number, ${writers} writers; read off the checkpoints that each server signs.`,
    head: ['server', 'leaves/s'],
    rows: [
      ['ledger (created with --interoperability)', ledger.toLocaleString('en')],
      [
        'Tessera POSIX 1.0.4, as its conformance server is set: batches of 256, a checkpoint a second',
        posix.toLocaleString('en'),
      ],
    ],
  },
]
