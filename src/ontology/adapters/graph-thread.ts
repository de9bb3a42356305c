import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { EvidenceError } from '../../contracts/errors.js'
import type { EventReader, RecordedEvent } from '../../ledger/event-store.js'
import {
  type AnswerType,
  type GraphAnswer,
  type GraphQueries,
  heldFactorMax,
  projectsMax,
  queryMemoryBytesMax,
  queryMs,
  waitingMax,
  windowEventsMax,
} from '../graph-queries.js'
import type { GraphCall, GraphReply } from './graph-calls.js'

const batchEventsMax = 200
/** How long one question waits for the store to come up to the ledger; the next one goes on from there. */
const catchUpMs = 20_000
const watchMs = 50
const heapMegabytesMax = 512

/** The positions of a project whose events are in the store: `next` is the first behind them. */
interface Held {
  readonly from: number
  readonly next: number
}

interface Thread {
  readonly worker: Worker
  /** What is held of each project, in the order in which they were asked about. */
  readonly held: Map<string, Held>
}

export interface GraphThreadOptions {
  readonly reader: EventReader
  readonly ledger: string
  /** Bounds that a test makes smaller. */
  readonly windowEvents?: number
  readonly limitMs?: number
}

/**
 * The store of graphs in a thread of its own, begun with the first question and brought up to the ledger with each.
 * A query that takes too long or too much ends the thread; the next question begins another and loads it anew.
 */
export function openGraphThread(options: GraphThreadOptions): GraphQueries {
  let thread: Thread | undefined
  let waiting = 0
  let turn: Promise<unknown> = Promise.resolve()
  let closed = false

  const end = async () => {
    const ending = thread
    thread = undefined
    await ending?.worker.terminate()
  }

  const begin = (): Thread => {
    const worker = new Worker(new URL('./graph-worker.js', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytesMax },
    })
    const begun = { worker, held: new Map<string, Held>() }
    worker.on('error', () => undefined)
    worker.on('exit', () => {
      if (thread === begun) thread = undefined
    })
    worker.unref()
    thread = begun
    return begun
  }

  const answer = async (project: string, query: string, type: AnswerType): Promise<GraphAnswer> => {
    if (closed) throw unavailable('the service is stopping')
    const running = thread ?? begin()
    try {
      const { position, from } = await catchUp(running, options, project)
      const asked = { call: 'ask', project, query, type } as const
      const reply = await bounded(running, asked, options.limitMs ?? queryMs)
      if (reply.reply === 'answer') return { text: reply.text, position, from }
      throw reply.reply === 'refused'
        ? new EvidenceError(reply.code, reply.detail)
        : unavailable('the store gave no answer')
    } catch (error) {
      const isKept =
        error instanceof EvidenceError &&
        ['SPARQL_INVALID', 'GRAPH_UNAVAILABLE'].includes(error.code)
      if (!isKept) await end()
      throw error
    }
  }

  return {
    async ask(project, query, type) {
      if (waiting >= waitingMax) throw unavailable(`${waitingMax} questions wait already`)
      waiting += 1
      const mine = turn.then(() => answer(project, query, type))
      turn = mine.catch(() => undefined)
      return mine.finally(() => (waiting -= 1))
    },
    async close() {
      closed = true
      await end()
    },
  }
}

const unavailable = (detail: string, details: Readonly<Record<string, unknown>> = {}) =>
  new EvidenceError('GRAPH_UNAVAILABLE', detail, { details: { retryAfterMs: 1_000, ...details } })

/** Loads what a project has not seen. @throws EvidenceError GRAPH_UNAVAILABLE when that takes too long. */
async function catchUp(
  thread: Thread,
  { reader, ledger, windowEvents = windowEventsMax }: GraphThreadOptions,
  project: string,
): Promise<{ readonly position: number; readonly from: number }> {
  const { held } = thread
  const position = reader.size()
  const before = held.get(project)
  const isTooMuch = before !== undefined && position - before.from > windowEvents * heldFactorMax
  if (isTooMuch) await call(thread, { call: 'forget', project })
  const begin = Math.max(0, position - windowEvents)
  const { from, next } = before === undefined || isTooMuch ? { from: begin, next: begin } : before
  let at = next
  // Taken out and put in again: the first of the map is the one that was asked about least recently.
  held.delete(project)
  held.set(project, { from, next })
  for (const other of [...held.keys()].slice(0, Math.max(0, held.size - projectsMax))) {
    held.delete(other)
    await call(thread, { call: 'forget', project: other })
  }
  const deadline = performance.now() + catchUpMs
  const load = async (events: readonly RecordedEvent[], to: number) => {
    await call(thread, { call: 'load', project, ledger, events })
    at = to
    held.set(project, { from, next: at })
    if (at < position && performance.now() > deadline)
      throw unavailable(`the graph is at position ${at} of ${position}`, { position: String(at) })
  }
  if (at >= position) return { position, from }
  let batch: RecordedEvent[] = []
  for await (const event of reader.readLog({ from: at, filter: { project } })) {
    if (event.position >= position) break
    batch.push(event)
    if (batch.length < batchEventsMax) continue
    await load(batch, event.position + 1)
    batch = []
  }
  await load(batch, position)
  return { position, from }
}

/** Asks, and ends the thread when it takes too long or the process grows too much. */
async function bounded(thread: Thread, asked: GraphCall, limitMs: number): Promise<GraphReply> {
  const began = performance.now()
  const before = process.memoryUsage.rss()
  let excess: string | undefined
  const watch = setInterval(() => {
    if (performance.now() - began > limitMs) excess = `it took more than ${limitMs} ms`
    else if (process.memoryUsage.rss() - before > queryMemoryBytesMax)
      excess = `it took more than ${queryMemoryBytesMax} bytes of memory`
    if (excess !== undefined) void thread.worker.terminate()
  }, watchMs)
  try {
    return await call(thread, asked)
  } catch (cause) {
    throw new EvidenceError(
      'GRAPH_QUERY_TOO_COSTLY',
      `the query was ended: ${excess ?? 'it took more memory than its thread may have'}`,
      { cause },
    )
  } finally {
    clearInterval(watch)
  }
}

/** One call, one reply. @throws Error when the thread ends before it answers. */
async function call({ worker }: Thread, asked: GraphCall): Promise<GraphReply> {
  const settled = new AbortController()
  const { signal } = settled
  worker.ref()
  try {
    const reply = once(worker, 'message', { signal })
    const ended = once(worker, 'exit', { signal }).then(() => {
      throw new Error('the thread of the graphs ended')
    })
    reply.catch(() => undefined)
    ended.catch(() => undefined)
    worker.postMessage(asked)
    const [message] = (await Promise.race([reply, ended])) as [GraphReply]
    return message
  } finally {
    settled.abort()
    worker.unref()
  }
}
