import { EvidenceError } from '../contracts/errors.js'
import { type Checkpoint, parseForeignCheckpoint } from '../ledger/checkpoint.js'
import {
  cosign,
  formatNote,
  formatSignatureLine,
  type NoteSigner,
  parseNote,
  parseVkey,
  type ProofCrypto,
  verifyNote,
} from '../ledger/note.js'
import {
  type FollowedLogs,
  isRefusal,
  judgeCheckpoint,
  type OpenedRequest,
  openRequest,
  type Refusal,
  type WitnessState,
} from '../ledger/witness.js'

export type WitnessAnswer =
  /** Signature lines, as the response carries them. */
  | { readonly kind: 'cosigned'; readonly lines: string }
  | Refusal
  /** Too many requests about this log wait already. */
  | { readonly kind: 'busy' }

/** Judges checkpoints of the logs that it follows, and cosigns what extends all that it has seen. */
export interface Witness {
  /** Resolves after what it answers is durable. */
  add(body: string): Promise<WitnessAnswer>
}

/** Requests about one log that may wait for the one before. */
export const waitingMax = 32

/**
 * One request about a log at a time: between reading what was seen and replacing it nothing else
 * is judged. A cosignature leaves only after its checkpoint is durable; when that fails nobody knows
 * what the disk holds, so the next request reads it again and writes it again before it is answered.
 */
export function createWitness(parts: {
  readonly crypto: ProofCrypto
  readonly followed: FollowedLogs
  readonly signer: NoteSigner
  readonly state: WitnessState
  readonly nowMs: () => number
}): Witness {
  const { crypto, followed, signer, state, nowMs } = parts
  const turns = new Map<string, { waiting: number; last: Promise<unknown> }>()

  const judge = async (opened: OpenedRequest): Promise<WitnessAnswer> => {
    const { checkpoint, note } = opened
    const { origin } = checkpoint
    const seen = seenCheckpoint(crypto, signer, origin, await state.seen(origin))
    const refusal = judgeCheckpoint(crypto.sha256, opened, seen)
    if (refusal !== null) return refusal
    const line = await cosign(note.text, signer, Math.floor(nowMs() / 1000), crypto.sha256)
    await state.replace(
      origin,
      formatNote({ text: note.text, signatures: [...note.signatures, line] }),
    )
    return { kind: 'cosigned', lines: formatSignatureLine(line) }
  }

  return {
    async add(body) {
      const opened = openRequest(crypto, followed, body)
      if (isRefusal(opened)) return opened
      const { origin } = opened.checkpoint
      const turn = turns.get(origin) ?? { waiting: 0, last: Promise.resolve() }
      turns.set(origin, turn)
      if (turn.waiting >= waitingMax) return { kind: 'busy' }
      turn.waiting += 1
      const answer = turn.last.then(() => judge(opened)).finally(() => (turn.waiting -= 1))
      // The failure is the caller's; the next in turn only waits for the end.
      turn.last = answer.catch(() => undefined)
      return answer
    },
  }
}

/** What was seen, if this witness itself says so: a file that somebody changed is not taken for it. */
function seenCheckpoint(
  crypto: ProofCrypto,
  signer: NoteSigner,
  origin: string,
  kept: string | undefined,
): Checkpoint | undefined {
  if (kept === undefined) return undefined
  try {
    const note = parseNote(kept)
    const checkpoint = parseForeignCheckpoint(note.text)
    verifyNote(crypto, note, [parseVkey(crypto.sha256, signer.vkey)])
    if (checkpoint.origin === origin) return checkpoint
  } catch (cause) {
    throw damaged(origin, cause)
  }
  throw damaged(origin)
}

const damaged = (origin: string, cause?: unknown) =>
  new EvidenceError(
    'WITNESS_STATE_DAMAGED',
    `what the witness has seen of ${origin} is not what it wrote`,
    { cause, details: { origin } },
  )
