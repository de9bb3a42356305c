import { EvidenceError } from '../contracts/errors.js'
import { parseDecimal } from './checkpoint.js'
import { base64Of, bytesOfBase64 } from './encoding.js'
import { proofHashesMax } from './merkle.js'

/** The body of a C2SP tlog-witness `add-checkpoint` request. */
export interface AddCheckpoint {
  /** Size of the checkpoint that the witness is thought to have seen last; 0 = none. */
  readonly old: number
  /** RFC 6962 consistency proof from `old` to the size of the checkpoint. */
  readonly proof: readonly Uint8Array[]
  /** The signed note, verbatim. */
  readonly note: string
}

/** More than any checkpoint with all its signature lines and a proof needs. */
export const addCheckpointBytesMax = 131_072
/** The content type of a 409: the body is the size that the witness saw last. */
export const sizeContentType = 'text/x.tlog.size'

const malformed = (detail: string) =>
  new EvidenceError('PROOF_MALFORMED', `the add-checkpoint request is malformed: ${detail}`)

export function formatAddCheckpoint({ old, proof, note }: AddCheckpoint): string {
  if (!Number.isSafeInteger(old) || old < 0) throw malformed('the old size is not a count')
  if (proof.length > proofHashesMax) throw malformed(`it has more than ${proofHashesMax} hashes`)
  const lines = [`old ${old}`, ...proof.map(base64Of)]
  return `${lines.join('\n')}\n\n${note}`
}

/** Reads the body; what it asks for is judged by `judgeCheckpoint`. @throws EvidenceError PROOF_MALFORMED. */
export function parseAddCheckpoint(text: string): AddCheckpoint {
  if (text.length > addCheckpointBytesMax)
    throw malformed(`it is larger than ${addCheckpointBytesMax} bytes`)
  const end = text.indexOf('\n\n')
  if (end === -1) throw malformed('no empty line separates the proof from the checkpoint')
  const [first = '', ...lines] = text.slice(0, end).split('\n')
  if (!first.startsWith('old ')) throw malformed('it does not begin with the old size')
  if (lines.length > proofHashesMax) throw malformed(`it has more than ${proofHashesMax} hashes`)
  const proof = lines.map(bytesOfBase64)
  if (proof.some((hash) => hash.length !== 32)) throw malformed('a hash has not 32 bytes')
  return { old: parseDecimal(first.slice('old '.length)), proof, note: text.slice(end + 2) }
}

/** Reads the body of a 409. @throws EvidenceError PROOF_MALFORMED. */
export function parseSizeBody(text: string): number {
  if (!text.endsWith('\n')) throw malformed('the size does not end in a newline')
  return parseDecimal(text.slice(0, -1))
}

/** Sends one request and answers whatever comes back, bounded in time and size. Rejects when nothing does. */
export type PostText = (
  url: string,
  body: string,
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly contentType: string; readonly text: string }>
