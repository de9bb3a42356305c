import { setTimeout as pause } from 'node:timers/promises'
import { EvidenceError } from '../contracts/errors.js'
import type { LedgerAlarm } from '../contracts/ledger.js'
import { ledgerVerified } from '../contracts/ledger.js'
import { bytesOfHex, hexOf } from '../ledger/encoding.js'
import type { EventReader, ProofSource } from '../ledger/event-store.js'
import { dataOf, fact } from '../ledger/facts.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { ledgerProject, ledgerStreamOf } from '../ledger/stream-name.js'
import type {
  DamagedPlace,
  LedgerVerification,
  LedgerVerifier,
  VerificationStatus,
  VerifiedRange,
} from '../ledger/verification.js'
import type { RecordWriter } from '../ledger/writers.js'
import type { StandingAlarm } from './alarm.js'
import type { Log } from './log.js'
import { latestOfType, type OwnEventReader } from './own-events.js'
import { createPace } from './verify-pace.js'

/** When the verification does what. */
export interface VerifierRule {
  /** A pass over everything begins so long after the beginning of the one before. */
  readonly passEveryMs: number
  /** In between, what was recorded since is read so often. */
  readonly roundEveryMs: number
  /** Leaves that are read before it is recorded how far it is. */
  readonly roundLeavesMax: number
  /** How long a start is left alone. */
  readonly startDelayMs: number
  readonly bytesPerSecond: number
  /** Share of the time that it works at most. */
  readonly shareMax: number
}

export interface RunningVerifier extends LedgerVerifier {
  close(): Promise<void>
}

export interface VerifierParts {
  readonly ledger: OwnEventReader &
    Pick<EventReader, 'size'> &
    Pick<ProofSource, 'origin' | 'checkpoint' | 'checkpointCovering'>
  readonly verification: LedgerVerification
  readonly writer: RecordWriter
  readonly alarm: StandingAlarm
  readonly rule: VerifierRule
  readonly nowMs: () => number
  readonly newId: () => string
  readonly log: Log
}

/** How often it looks whether something is due, at most. */
const lookEveryMs = 1_000
/** The pause after a round that failed for another reason than damage. */
const retryMs = 60_000
const flawMax = 400

/** Where the verification stands; what is on the ledger of it survives a restart. */
interface State {
  /** The leaves below `size` agree, as far as the pass has come, and have this root. */
  size: number
  root: Uint8Array | undefined
  passBeganMs: number
  /** Whether the pass has reached the end of the ledger. */
  whole: boolean
  /** Damage that this pass has found. */
  damage: VerificationStatus['damage']
  /** Behind the last `ledger.verified` that reached the end: how far it was looked for others' events, and whether one was found. */
  since: number
  sinceActive: boolean
}

/**
 * Reads the whole ledger again and again, slowly: a pass from position 0 to the end, in rounds, and
 * then what comes, until the next pass is due. Each round that finds all as it should be is recorded
 * as `ledger.verified`, from which the next start goes on; but not when nothing but the ledger's own
 * events was recorded since the last one that reached the end. Damage raises an alarm that only a whole clean pass clears.
 */
export function startVerifier(parts: VerifierParts): RunningVerifier {
  const { ledger, rule, nowMs, log } = parts
  const closing = new AbortController()
  const { signal } = closing
  let bytesRead = 0
  let state: State | undefined
  const shown = { size: 0, atMs: null as number | null, damage: null as State['damage'] }
  const standing = parts.alarm.raised
  if (standing?.place !== undefined) shown.damage = { first: placeOf(standing), count: 1 }
  const pace = createPace({
    bytesPerSecond: rule.bytesPerSecond,
    share: rule.shareMax,
    signal,
    onBytes: (bytes) => (bytesRead += bytes),
  })

  const round = async (present: State) => {
    if (present.whole && nowMs() >= present.passBeganMs + rule.passEveryMs)
      beginPass(present, nowMs())
    const { to, isHead } = await endOfRound(parts, present.size)
    const { size: from, root } = present
    if (to > from) {
      const range = await parts.verification.verify({ from, to, root }, pace)
      noteRange(present, range)
      shown.damage = present.damage ?? shown.damage
      if (present.damage !== null) await tellDamage(parts.alarm, present.damage)
      else {
        Object.assign(shown, { size: range.size, atMs: nowMs() })
        await recordVerified(parts, present, range, present.whole || isHead)
      }
    }
    present.whole ||= isHead
    if (!present.whole || present.damage !== null) return
    // Only a pass that began after the damage was told says that it is gone.
    if (present.passBeganMs > (parts.alarm.raisedAtMs ?? 0))
      await parts.alarm.clear('a whole pass over the ledger found no damage')
    if (parts.alarm.raised === undefined) shown.damage = null
  }

  const isDue = async (present: State, lastMs: number): Promise<boolean> => {
    if (!present.whole || nowMs() >= present.passBeganMs + rule.passEveryMs) return true
    if (ledger.size() - present.size >= rule.roundLeavesMax) return true
    return nowMs() - lastMs >= rule.roundEveryMs && (await isActive(parts, present))
  }

  const run = async () => {
    let waitMs = rule.startDelayMs
    let lastMs = nowMs()
    while (!signal.aborted) {
      try {
        await pause(waitMs, undefined, { signal })
        state ??= await load(parts)
        waitMs = Math.min(lookEveryMs, rule.roundEveryMs)
        if (!(await isDue(state, lastMs))) continue
        await round(state)
        lastMs = nowMs()
      } catch (error) {
        if (signal.aborted) return
        // Nothing can be recorded until the next start; reading goes on all the same.
        waitMs = retryMs
        log.warn('the ledger could not be verified', {
          code: error instanceof EvidenceError ? error.code : String(error),
        })
      }
    }
  }
  const running = run()

  return {
    status: () => ({ ...shown, passSize: state?.size ?? 0, bytesRead }),
    async close() {
      closing.abort()
      await running
    },
  }
}

const placeOf = ({ place, message }: LedgerAlarm): DamagedPlace => ({
  file: place?.file ?? '',
  offset: Number(place?.offset ?? 0),
  position: typeof place?.position === 'string' ? Number(place.position) : null,
  flaw: message,
})

function beginPass(state: State, nowMs: number) {
  Object.assign(state, { size: 0, root: undefined, passBeganMs: nowMs, whole: false, damage: null })
}

/** What the last event says; a pass that is to begin when there is none. */
async function load({ ledger, nowMs }: VerifierParts): Promise<State> {
  const state: State = {
    size: 0,
    root: undefined,
    passBeganMs: nowMs(),
    whole: false,
    damage: null,
    since: 0,
    sinceActive: false,
  }
  for await (const event of latestOfType(ledger, ledgerVerified.type)) {
    const data = dataOf(ledgerVerified, event)
    if (data === undefined || Number(data.size) > ledger.checkpoint().size) break
    // The newest says how far it is, the newest that reached the end what came since.
    if (state.root === undefined) {
      state.size = Number(data.size)
      state.root = bytesOfHex(data.root)
      state.passBeganMs = Date.parse(data.pass_began)
      state.whole = data.whole
    }
    if (!data.whole) continue
    state.since = event.position + 1
    break
  }
  return state
}

/** Where the next round ends, at a published checkpoint, and whether that is the end of the ledger. */
async function endOfRound(
  { ledger, rule }: VerifierParts,
  from: number,
): Promise<{ readonly to: number; readonly isHead: boolean }> {
  const { size } = ledger.checkpoint()
  if (size - from <= rule.roundLeavesMax) return { to: size, isHead: true }
  try {
    const covering = await ledger.checkpointCovering(from + rule.roundLeavesMax - 1)
    return { to: covering.size, isHead: covering.size >= size }
  } catch (error) {
    // Which checkpoint is damaged is found out by reading them.
    if (error instanceof EvidenceError && error.code === 'JOURNAL_DAMAGED')
      return { to: size, isHead: true }
    throw error
  }
}

/** Whether anything but the ledger's own events was recorded since the last `ledger.verified` that reached the end. */
async function isActive({ ledger }: VerifierParts, state: State): Promise<boolean> {
  if (state.sinceActive) return true
  for await (const { position, leaf } of ledger.readLog({ from: state.since })) {
    state.since = position + 1
    if (leaf.writer === 'ledger') continue
    state.sinceActive = true
    break
  }
  return state.sinceActive
}

async function recordVerified(
  parts: VerifierParts,
  state: State,
  range: VerifiedRange,
  whole: boolean,
) {
  const { ledger, writer, newId } = parts
  if (range.root === undefined || !(await isActive(parts, state))) return
  const [receipt] = await writer.record({
    project: ledgerProject,
    stream: ledgerStreamOf(nodeCrypto.sha256, ledger.origin),
    expected: 'any',
    actor: 'ledger',
    facts: [
      fact(ledgerVerified, newId(), {
        size: String(range.size),
        root: hexOf(range.root),
        from: String(range.from),
        pass_began: new Date(state.passBeganMs).toISOString(),
        whole,
        index_through: String(range.indexThrough),
      }),
    ],
  })
  if (!whole) return
  state.since = (receipt?.position ?? state.since) + 1
  state.sinceActive = false
}

function noteRange(state: State, range: VerifiedRange) {
  Object.assign(state, { size: range.size, root: range.root })
  const [found] = range.damage
  if (found === undefined) return
  const count = (state.damage?.count ?? 0) + range.damageCount
  state.damage = { first: state.damage?.first ?? found, count }
}

async function tellDamage(
  alarm: StandingAlarm,
  { first, count }: NonNullable<State['damage']>,
): Promise<void> {
  const { file, offset, position, flaw } = first
  const at = position === null ? '' : `, position ${position}`
  const more = count === 1 ? '' : `; ${count} places so far`
  await alarm.raise(`${file} at offset ${offset}${at}: ${flaw.slice(0, flawMax)}${more}`, {
    file,
    offset: String(offset),
    position: position === null ? null : String(position),
  })
}
