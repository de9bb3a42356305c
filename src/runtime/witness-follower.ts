import { setTimeout as pause } from 'node:timers/promises'
import type { ProofSource, PublishedCheckpoint } from '../ledger/event-store.js'
import { formatNote, type NoteSignature, parseNote, type ProofCrypto } from '../ledger/note.js'
import { missingOf, type PolicyWitness, type WitnessPolicy } from '../ledger/witness-policy.js'
import type { WitnessedCheckpoints, WitnessedStore, WitnessStatus } from '../ledger/witnessed.js'
import type { PostText } from '../ledger/witness-request.js'
import type { Log } from './log.js'
import { askWitness, type WitnessOutcome } from './witness-client.js'

const backoffMinMs = 1_000
const backoffMaxMs = 60_000
/** Checkpoints whose slower witnesses are still waited for. */
const openRoundsMax = 16

export interface WitnessFollower extends WitnessedCheckpoints {
  close(): Promise<void>
}

export interface FollowerParts {
  readonly proofs: Pick<ProofSource, 'checkpoint' | 'proveConsistency'>
  readonly policy: WitnessPolicy
  readonly required: boolean
  readonly store: WitnessedStore
  readonly post: PostText
  readonly crypto: ProofCrypto
  readonly log: Log
  readonly intervalMs: number
  readonly nowMs: () => number
  /** Called on each change of which witnesses saw a larger or another tree; empty = all is well again. */
  readonly onUnreconciled: (reasons: readonly string[]) => Promise<void>
}

interface Asked {
  readonly witness: PolicyWitness
  size: number
  failures: number
  notBeforeMs: number
  busy: boolean
  problem: string | null
  unreconciled: boolean
}

/** One checkpoint on its way round the witnesses. */
interface Round {
  readonly checkpoint: PublishedCheckpoint
  readonly lines: Map<string, NoteSignature>
}

/**
 * Takes published checkpoints to the witnesses of the policy, one checkpoint per interval to all of
 * them, so that their cosignatures meet on one note. A witness that is slow or down holds up nobody
 * else: it is left out of rounds until its pause is over, and then takes part again.
 */
export function followWitnesses(parts: FollowerParts): WitnessFollower {
  const { proofs, policy, store, log, nowMs, intervalMs } = parts
  const closing = new AbortController()
  const asked: Asked[] = policy.witnesses
    .filter(({ url }) => url !== undefined)
    .map((witness) => ({
      witness,
      size: 0,
      failures: 0,
      notBeforeMs: 0,
      busy: false,
      problem: 'it was not asked yet',
      unreconciled: false,
    }))
  const rounds: Round[] = []
  let storing = Promise.resolve()
  let told: string | undefined
  let lagsSinceMs: number | null = null

  const tell = async () => {
    const reasons = asked.flatMap(({ unreconciled, problem }) =>
      unreconciled && problem !== null ? [problem] : [],
    )
    if (reasons.join('\n') === told) return
    // What an earlier run told is taken back only when every witness was heard.
    if (told === undefined && reasons.length === 0 && asked.some(({ problem }) => problem !== null))
      return
    told = reasons.join('\n')
    await parts.onUnreconciled(reasons)
  }

  /** Keeps the note of a round once its quorum is met, and again whenever a further line comes. */
  const keep = async ({ checkpoint, lines }: Round) => {
    if (missingOf(policy.quorum, new Set(lines.keys())) !== null) return
    if (checkpoint.size < (store.latest()?.size ?? 0)) return
    const { text, signatures } = parseNote(checkpoint.note)
    const note = formatNote({ text, signatures: [...signatures, ...lines.values()] })
    await store.append({ ...checkpoint, note })
  }

  const take = async (one: Asked, round: Round, outcome: WitnessOutcome) => {
    if (outcome.kind === 'cosigned') {
      const [line] = outcome.lines
      if (line !== undefined) round.lines.set(one.witness.name, line)
      Object.assign(one, { size: round.checkpoint.size, failures: 0, notBeforeMs: 0 })
      Object.assign(one, { problem: null, unreconciled: false })
      storing = storing.then(() => keep(round))
      await storing
    } else {
      one.failures += 1
      const pauseMs = Math.min(backoffMinMs * 2 ** Math.min(one.failures - 1, 16), backoffMaxMs)
      one.notBeforeMs = nowMs() + pauseMs
      if (one.problem !== outcome.reason)
        log.warn('a witness does not follow', { witness: one.witness.name, because: outcome.kind })
      one.problem = outcome.reason
      // A witness that is away has not taken back what it said.
      if (outcome.kind === 'unreconciled') one.unreconciled = true
    }
    await tell()
  }

  const ask = async (one: Asked, round: Round) => {
    one.busy = true
    try {
      const request = { ...parts, signal: closing.signal }
      const outcome = await askWitness(request, one.witness, round.checkpoint, one.size).catch(
        (error: unknown): WitnessOutcome => ({
          kind: 'failed',
          reason: error instanceof Error ? error.message : String(error),
        }),
      )
      if (!closing.signal.aborted) await take(one, round, outcome)
    } catch (error) {
      storing = Promise.resolve()
      log.error('a cosignature could not be kept', {
        error: error instanceof Error ? error.name : typeof error,
      })
    } finally {
      one.busy = false
    }
  }

  const asking = new Set<Promise<void>>()
  const begin = () => {
    const checkpoint = proofs.checkpoint()
    const isBehind = (store.latest()?.size ?? -1) < checkpoint.size
    lagsSinceMs = isBehind ? (lagsSinceMs ?? nowMs()) : null
    const ready = asked.filter(
      ({ busy, notBeforeMs, size, failures }) =>
        !busy && notBeforeMs <= nowMs() && (size < checkpoint.size || size === 0 || failures > 0),
    )
    if (ready.length === 0) return
    let round = rounds.find((one) => one.checkpoint.size === checkpoint.size)
    if (round === undefined) {
      round = { checkpoint, lines: new Map() }
      rounds.push(round)
      if (rounds.length > openRoundsMax) rounds.shift()
    }
    for (const one of ready) {
      const work = ask(one, round).finally(() => asking.delete(work))
      asking.add(work)
    }
  }
  const run = async () => {
    while (!closing.signal.aborted) {
      begin()
      await pause(intervalMs, undefined, { signal: closing.signal }).catch(() => undefined)
    }
  }
  const running = run()

  return {
    required: parts.required,
    vkeys: policy.witnesses.map(({ vkey }) => vkey),
    latest: () => store.latest(),
    covering: (position) => store.covering(position),
    witnesses: () => asked.map(statusOf),
    lagMs: () => (lagsSinceMs === null ? 0 : nowMs() - lagsSinceMs),
    async close() {
      closing.abort()
      await running
      await Promise.all(asking)
      await storing.catch(() => undefined)
      await store.close()
    },
  }
}

const statusOf = ({ witness, size, failures, problem, unreconciled }: Asked): WitnessStatus => ({
  name: witness.name,
  size,
  failures,
  problem,
  unreconciled,
})

/**
 * Asks every witness once, before anything is appended: what those say who saw a larger or another
 * tree. Witnesses that do not answer in time say nothing.
 */
export async function unreconciledWitnesses(
  parts: Pick<FollowerParts, 'proofs' | 'policy' | 'post' | 'crypto'>,
  timeoutMs: number,
): Promise<readonly string[]> {
  const checkpoint = parts.proofs.checkpoint()
  const signal = AbortSignal.timeout(timeoutMs)
  const outcomes = await Promise.all(
    parts.policy.witnesses
      .filter(({ url }) => url !== undefined)
      .map((witness) =>
        askWitness({ ...parts, signal }, witness, checkpoint, checkpoint.size).catch(
          () => undefined,
        ),
      ),
  )
  return outcomes.flatMap((outcome) => (outcome?.kind === 'unreconciled' ? [outcome.reason] : []))
}
