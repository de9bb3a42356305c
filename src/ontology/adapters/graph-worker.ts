import { parentPort } from 'node:worker_threads'
import { EvidenceError } from '../../contracts/errors.js'
import type { GraphCall, GraphReply } from './graph-calls.js'
import { createGraphStore, type GraphStore } from './graph-store.js'

/** Entry of the thread that holds the graphs. Whoever began it may end it at any time: it keeps nothing. */
const stores = new Map<string, GraphStore>()

function storeOf(project: string): GraphStore {
  const store = stores.get(project) ?? createGraphStore()
  stores.set(project, store)
  return store
}

function carryOut(call: GraphCall): GraphReply {
  if (call.call === 'forget') stores.delete(call.project)
  else if (call.call === 'load') storeOf(call.project).load(call.ledger, call.events)
  else return { reply: 'answer', text: storeOf(call.project).ask(call.query, call.type) }
  return { reply: 'done' }
}

parentPort?.on('message', (call: GraphCall) => {
  let reply: GraphReply
  try {
    reply = carryOut(call)
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    const { code, message: detail } = error
    if (code !== 'SPARQL_INVALID' && code !== 'GRAPH_QUERY_TOO_COSTLY') throw error
    reply = { reply: 'refused', code, detail }
  }
  parentPort?.postMessage(reply)
})
