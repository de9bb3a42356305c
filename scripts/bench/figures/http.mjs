// Evidence over HTTP, and what was recorded read back: pages, one stream, the live stream from the beginning.
// Beside them the same reads in process, and requests that do nothing.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { drafts, streamOf } from '../events.mjs'
import { httpClient, load } from '../http-load.mjs'
import { startProduct } from '../product.mjs'
import { median, ratioOf } from '../statistics.mjs'
import { startStore } from '../stores.mjs'

export const title = 'HTTP: evidence, reads and subscriptions'
const batch = 100
const pageLimit = 500
const connections = 64
const inProcessEvents = 100_000
const readMsFactor = 3
const signedMsMax = 10_000

const cloudEvent = (draft, caller) => ({
  specversion: '1.0',
  id: draft.id,
  source: '/bench',
  type: draft.type,
  stream: streamOf(caller),
  datacontenttype: draft.contentType,
})

function single(client) {
  return async (caller) => {
    const [draft] = drafts(1)
    const { datacontenttype, ...attributes } = cloudEvent(draft, caller)
    const headers = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]),
    )
    await client.send('POST', '/v1/evidence', draft.data, {
      ...headers,
      'content-type': datacontenttype,
    })
    return 1
  }
}

function batched(client) {
  return async (caller) => {
    const events = drafts(batch).map((draft) => ({
      ...cloudEvent(draft, caller),
      data_base64: draft.data.toString('base64'),
    }))
    const answer = await client.send('POST', '/v1/evidence', JSON.stringify(events), {
      'content-type': 'application/cloudevents-batch+json',
    })
    const { results } = JSON.parse(answer)
    if (!results.every(({ result }) => result === 'recorded'))
      throw new Error('an event was not recorded')
    return batch
  }
}

/** Pages one after the other until there is none. */
function pages(client, path) {
  let next = ''
  return async () => {
    if (next === undefined) return 0
    const page = JSON.parse(await client.send('GET', `${path}?limit=${pageLimit}${next}`))
    next = page.next_cursor ? `&cursor=${encodeURIComponent(page.next_cursor)}` : undefined
    return page.items.length
  }
}

/** Server-sent events from position 0 until the time is over or as many came as there are. */
async function catchUp({ url, administrator }, size, ms) {
  const ending = new AbortController()
  const response = await fetch(`${url}/v1/live?from=0`, {
    headers: { authorization: `Bearer ${administrator}` },
    signal: ending.signal,
  })
  const began = performance.now()
  let count = 0
  for await (const chunk of response.body) {
    for (let at = chunk.indexOf(100); at !== -1; at = chunk.indexOf(100, at + 1)) {
      // `data: ` at the beginning of a line.
      if (chunk[at - 1] === 10 && chunk[at + 4] === 58) count += 1
    }
    if (count >= size || performance.now() - began > ms) break
  }
  ending.abort()
  return Math.round((count * 1000) / (performance.now() - began))
}

/** Size of the signed tree, once it covers what was acknowledged. */
async function signedSize(client, recorded) {
  const end = performance.now() + signedMsMax
  for (;;) {
    const size = Number((await client.send('GET', '/checkpoint')).toString().split('\n')[1])
    if (size >= recorded) return size
    if (performance.now() > end)
      throw new Error(`${recorded} events were acknowledged, the signed tree holds ${size}`)
    await pause(20)
  }
}

async function overHttp(folder, { seconds, rounds }) {
  const served = await startProduct(folder)
  const client = httpClient(served.url, { authorization: `Bearer ${served.administrator}` })
  const ms = seconds * 1000
  try {
    const kinds = {
      empty: [connections, () => client.send('GET', '/livez').then(() => 1)],
      single: [connections, single(client)],
      batch: [8, batched(client)],
    }
    const results = { empty: [], single: [], batch: [] }
    let recorded = 0
    for (let round = -1; round < rounds; round += 1) {
      for (const [name, [callers, one]] of Object.entries(kinds)) {
        const result = await load(callers, ms, one)
        if (name !== 'empty') recorded += result.done
        if (round >= 0) results[name].push(result)
      }
    }
    const size = await signedSize(client, recorded)
    const middle = (name) => ({
      per_second: median(results[name].map((result) => result.per_second)),
      p99_ms: median(results[name].map((result) => result.p99_ms)),
    })
    const log = await load(1, readMsFactor * ms, pages(client, '/v1/events'))
    const stream = await load(1, readMsFactor * ms, pages(client, `/v1/streams/${streamOf(0)}`))
    const subscribe = await catchUp(served, size, readMsFactor * ms)
    return {
      empty: middle('empty'),
      single: middle('single'),
      batch: middle('batch'),
      log: log.per_second,
      stream: stream.per_second,
      subscribe,
    }
  } finally {
    client.close()
    await served.stop()
  }
}

async function inProcess(folder, { seconds }) {
  const store = await startStore('ledger', folder)
  try {
    await store.ask('fill', { events: inProcessEvents })
    const options = { stream: streamOf(0), ms: readMsFactor * seconds * 1000 }
    return await store.ask('call', { name: 'readRates', options })
  } finally {
    await store.close()
  }
}

export async function measure(run) {
  run.say('HTTP: evidence, reads, live stream')
  mkdirSync(run.folder, { recursive: true })
  const http = await overHttp(join(run.folder, 'http'), run)
  const process = await inProcess(join(run.folder, 'process'), run)
  const ratios = [
    {
      name: 'HTTP: single evidence beside requests that do nothing',
      value: ratioOf(http.single.per_second, http.empty.per_second),
    },
    ...['log', 'stream', 'subscribe'].map((name) => ({
      name: `HTTP: ${reads[name]} beside the same in process`,
      value: ratioOf(http[name], process[name]),
    })),
  ]
  return { title, ratios, http, process }
}

const reads = {
  log: 'the whole log in pages',
  stream: 'one stream in pages',
  subscribe: 'a subscription catching up',
}

export function tables({ http, process }) {
  const number = (value) => value.toLocaleString('en')
  return [
    {
      head: ['what', 'events/s over HTTP', 'p99 ms', 'events/s in process'],
      rows: [
        [
          `requests that do nothing (${connections} connections)`,
          number(http.empty.per_second),
          http.empty.p99_ms,
          '',
        ],
        [
          `evidence, one event each (${connections} connections)`,
          number(http.single.per_second),
          http.single.p99_ms,
          '',
        ],
        [
          `evidence, batches of ${batch} (8 connections)`,
          number(http.batch.per_second),
          http.batch.p99_ms,
          '',
        ],
        ...Object.entries(reads).map(([name, what]) => [
          what,
          number(http[name]),
          '',
          number(process[name]),
        ]),
      ],
      notes: [
        'The client is a Node process on the same machine and takes its share of the processors. Over HTTP a live event is a reference without its data.',
      ],
    },
  ]
}
