// What only the ledger has: proofs, the log, its subscriptions. Each takes the open ledger and a bound in
// time, and answers how many a second.
import { drive } from './drive.mjs'
import { drafts, project } from './events.mjs'
import { product } from './product.mjs'
import { quantile } from './statistics.mjs'

const samplers = 4
const provedMax = 50_000

/** Does `one` again and again until the time is over or it answers false. */
async function rate(ms, one) {
  const began = performance.now()
  let done = 0
  while (performance.now() - began < ms) {
    const more = await one(done)
    if (more === false) break
    done += 1
  }
  return (done * 1000) / (performance.now() - began)
}

/** From calling append to holding a proof that a published checkpoint carries, while others append too. */
export async function usableProofs(ledger, { callers, ms }) {
  const { verifyInclusion } = await product('ledger/merkle.js')
  const { nodeCrypto } = await product('ledger/node-crypto.js')
  const append = (stream, events) => ledger.append({ project, stream, expected: 'any', events })
  const latencies = []
  const proved = []
  const deadline = performance.now() + ms
  const sample = async (_, sampler) => {
    for (let at = performance.now(); at < deadline; at = performance.now()) {
      const [{ position }] = await append(`sampled-${sampler}`, drafts(1))
      const { size, root } = await ledger.checkpointCovering(position)
      const path = await ledger.proveInclusion(position, size)
      latencies.push(performance.now() - at)
      proved.push({ position, size, root, path })
    }
  }
  const [load] = await Promise.all([
    drive({ append }, { callers, batch: 1, ms }),
    ...Array.from({ length: samplers }, sample),
  ])
  for (const { position: index, size, root, path } of proved) {
    const [event] = await allOf(ledger.readLog({ from: index, max: 1 }))
    verifyInclusion(nodeCrypto.sha256, { leafHash: event.leafHash, index, size, path, root })
  }
  return {
    events: load.events + proved.length,
    load_per_second: Math.round(load.per_second),
    proofs: proved.length,
    p50_ms: quantile(latencies, 0.5),
    p99_ms: quantile(latencies, 0.99),
  }
}

const allOf = async (events) => {
  const all = []
  for await (const event of events) all.push(event)
  return all
}

/** Proofs of random leaves in the tree of the last checkpoint, made, then verified against it. */
export async function proofRates(ledger, { ms }) {
  const { verifyInclusion } = await product('ledger/merkle.js')
  const { nodeCrypto } = await product('ledger/node-crypto.js')
  const { size, root } = await ledger.checkpointCovering(ledger.size() - 1)
  const proved = []
  const prove = await rate(ms, async () => {
    const index = Math.floor(Math.random() * size)
    const path = await ledger.proveInclusion(index, size)
    if (proved.length < provedMax) proved.push({ index, path })
  })
  // Leaf hashes are read before the clock runs: a verifier holds the leaf.
  const leaves = new Map()
  const held = proved.slice(0, 2_000)
  for (const { index } of held)
    for await (const event of ledger.readLog({ from: index, max: 1 }))
      if (event.position === index) leaves.set(index, event.leafHash)
  const proofs = held.filter(({ index }) => leaves.has(index))
  const verify = await rate(ms, (done) => {
    const { index, path } = proofs[done % proofs.length]
    verifyInclusion(nodeCrypto.sha256, { leafHash: leaves.get(index), index, size, path, root })
  })
  return {
    leaves: size,
    prove_per_second: Math.round(prove),
    verify_per_second: Math.round(verify),
  }
}

/** The log and a stream read from the beginning, and a subscription until it has caught up. */
export async function readRates(ledger, { stream, ms }) {
  const counted = async (events) => {
    const began = performance.now()
    let count = 0
    for await (const one of events) {
      if (one.kind === 'caught-up' || performance.now() - began > ms) break
      count += 1
    }
    return Math.round((count * 1000) / (performance.now() - began))
  }
  const ending = new AbortController()
  const log = await counted(ledger.readLog())
  const one = await counted(ledger.readStream({ project, stream }))
  const subscribe = await counted(ledger.subscribe({ from: 0, signal: ending.signal }))
  ending.abort()
  return { log, stream: one, subscribe }
}
