// gRPC with the official client for Node.js, and with nothing but HTTP/2: appends in batches and single, reads,
// subscriptions, acknowledgements, and the memory of the server while one subscriber does not keep up.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { bareAcks, bareBatches, bareReads } from '../grpc-bare.mjs'
import { officialClient } from '../grpc-official.mjs'
import { load } from '../http-load.mjs'
import { startProduct } from '../product.mjs'
import { median, ratioOf } from '../statistics.mjs'
import { startStore } from '../stores.mjs'
import { streamOf } from '../events.mjs'

export const title = 'gRPC: appends, reads and subscriptions of EventStoreDB clients'
const batch = 100
const batchCallers = 16
const singleCallers = 64
const acknowledgedBuffer = 1_000
const inProcessEvents = 100_000
const readMsFactor = 3

const middle = (results) => ({
  per_second: median(results.map((result) => result.per_second)),
  p99_ms: median(results.map((result) => result.p99_ms)),
})

/** Rounds of every kind in turn; the first is for the compiler. */
async function rounds({ rounds: count, seconds }, kinds) {
  const results = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]))
  for (let round = -1; round < count; round += 1)
    for (const [name, [callers, one]] of Object.entries(kinds)) {
      const result = await load(callers, seconds * 1000, one)
      if (round >= 0) results[name].push(result)
    }
  return Object.fromEntries(Object.entries(results).map(([name, all]) => [name, middle(all)]))
}

async function overGrpc(folder, run) {
  const env = { FRACTALOPS_GRPC_NAMELESS: 'administrator' }
  const served = await startProduct(folder, { env })
  const client = await officialClient(served)
  const bare = await bareBatches(served)
  const ms = readMsFactor * run.seconds * 1000
  try {
    // Single ones first: after millions in batches the ledger is sealing them for a while.
    const single = await rounds(run, {
      single: [singleCallers, (caller) => client.append(streamOf(caller), 1)],
      ownCall: [singleCallers, (caller) => client.appendInCall(streamOf(caller))],
    })
    const batches = await rounds(run, {
      batch: [batchCallers, (caller) => client.append(streamOf(caller), batch)],
      bareBatch: [batchCallers, (caller) => bare.append(streamOf(caller), batch)],
    })
    bare.close()
    const stream = streamOf(0)
    const reads = {
      stream: await client.readStream(stream, ms),
      log: await client.readAll(ms),
      subscribe: await client.subscribe(ms),
      bareStream: await bareReads(served, { stream, ms }),
      bareLog: await bareReads(served, { ms }),
    }
    const acknowledged = await client.createGroups(['official', 'bare'], acknowledgedBuffer)
    const acks = await client.acknowledge('official', acknowledged, ms)
    const bareAck = await bareAcks(served, 'bare', acknowledged, ms)
    return { ...single, ...batches, ...reads, acks, bareAck, memory: await client.lag() }
  } finally {
    await client.close()
    await served.stop()
  }
}

async function inProcess(folder, { seconds }) {
  const store = await startStore('ledger', folder)
  try {
    await store.ask('fill', { events: inProcessEvents })
    const append = await store.ask('drive', { callers: batchCallers, batch, ms: seconds * 1000 })
    const single = await store.ask('drive', {
      callers: singleCallers,
      batch: 1,
      ms: seconds * 1000,
    })
    const options = { stream: streamOf(0), ms: readMsFactor * seconds * 1000 }
    const reads = await store.ask('call', { name: 'readRates', options })
    return { batch: Math.round(append.per_second), single: Math.round(single.per_second), ...reads }
  } finally {
    await store.close()
  }
}

export async function measure(run) {
  run.say('gRPC: appends, reads, subscriptions')
  mkdirSync(run.folder, { recursive: true })
  const grpc = await overGrpc(join(run.folder, 'grpc'), run)
  const process = await inProcess(join(run.folder, 'process'), run)
  const { memory } = grpc
  const ratios = [
    {
      name: `gRPC: BatchAppend, events a second (batches of ${batch})`,
      value: grpc.batch.per_second,
      target: 50_000,
    },
    {
      name: 'gRPC: $all read by the official client, events a second',
      value: grpc.log,
      target: 100_000,
    },
    {
      name: 'gRPC: a persistent subscription, acknowledgements a second',
      value: grpc.acks,
      target: 20_000,
    },
    {
      name: 'gRPC: memory of the server in MiB, more while a subscriber does not keep up',
      value: memory.lagging_mib - memory.before_mib,
    },
    {
      name: 'gRPC: BatchAppend beside the same in process',
      value: ratioOf(grpc.batch.per_second, process.batch),
    },
    { name: 'gRPC: $all beside the same in process', value: ratioOf(grpc.log, process.log) },
  ]
  return { title, ratios, grpc, process }
}

export function tables({ grpc, process }) {
  const number = (value) => value?.toLocaleString('en') ?? ''
  const rows = [
    [
      `BatchAppend of ${batch} events (${batchCallers} callers)`,
      grpc.batch.per_second,
      grpc.bareBatch.per_second,
      process.batch,
      grpc.batch.p99_ms,
    ],
    [
      `BatchAppend of 1 event (${singleCallers} callers)`,
      grpc.single.per_second,
      undefined,
      process.single,
      grpc.single.p99_ms,
    ],
    [
      `Append, a call for each event (${singleCallers} callers)`,
      grpc.ownCall.per_second,
      undefined,
      process.single,
      grpc.ownCall.p99_ms,
    ],
    ['one stream read', grpc.stream, grpc.bareStream, process.stream, ''],
    ['$all read', grpc.log, grpc.bareLog, process.log, ''],
    ['a subscription to $all catching up', grpc.subscribe, undefined, process.subscribe, ''],
    ['a persistent subscription, each event acknowledged', grpc.acks, grpc.bareAck, undefined, ''],
  ]
  return [
    {
      head: [
        'what',
        'events/s, official client',
        'events/s, bare HTTP/2',
        'events/s in process',
        'p99 ms',
      ],
      rows: rows.map(([what, ...cells]) => [what, ...cells.slice(0, 3).map(number), cells[3]]),
      notes: [
        'Without TLS, on loopback; the client is one Node process and takes its share of the two processors. The official client is @eventstore/db-client 6.2.1.',
        `Memory of the server: ${grpc.memory.before_mib} MiB before, ${grpc.memory.lagging_mib} MiB while a subscriber that stopped taking lagged ${number(grpc.memory.lag)} events behind.`,
      ],
    },
  ]
}
