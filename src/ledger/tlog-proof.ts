import { EvidenceError } from '../contracts/errors.js'
import { parseDecimal } from './checkpoint.js'
import { base64Of, bytesOfBase64 } from './encoding.js'
import { proofHashesMax } from './merkle.js'

/** A C2SP tlog-proof: the place of a leaf, its inclusion path (sibling first), and a signed checkpoint. */
export interface TlogProof {
  readonly index: number
  readonly path: readonly Uint8Array[]
  /** The signed note, verbatim. */
  readonly checkpointNote: string
  /** Unauthenticated bytes of the application; we write none. */
  readonly extra?: Uint8Array
}

const header = 'c2sp.org/tlog-proof@v1'
const malformed = (detail: string) =>
  new EvidenceError('PROOF_MALFORMED', `the tlog-proof is malformed: ${detail}`)

export function formatTlogProof({ index, path, checkpointNote, extra }: TlogProof): string {
  if (path.length > proofHashesMax) throw malformed(`it has more than ${proofHashesMax} hashes`)
  if (!Number.isSafeInteger(index) || index < 0) throw malformed('the index is not a count')
  const lines = [
    header,
    ...(extra === undefined ? [] : [`extra ${base64Of(extra)}`]),
    `index ${index}`,
    ...path.map(base64Of),
  ]
  return `${lines.join('\n')}\n\n${checkpointNote}`
}

/** Reads a tlog-proof; nothing is verified yet. @throws EvidenceError PROOF_MALFORMED. */
export function parseTlogProof(text: string): TlogProof {
  const end = text.indexOf('\n\n')
  if (end === -1) throw malformed('no empty line separates the path from the checkpoint')
  const [first, ...lines] = text.slice(0, end).split('\n')
  if (first !== header) throw malformed(`it does not begin with ${header}`)
  const extraLine = lines[0]?.startsWith('extra ') ? lines.shift() : undefined
  const indexLine = lines.shift()
  if (indexLine === undefined || !indexLine.startsWith('index '))
    throw malformed('the index line is missing')
  if (lines.length > proofHashesMax) throw malformed(`it has more than ${proofHashesMax} hashes`)
  const path = lines.map(bytesOfBase64)
  if (path.some((hash) => hash.length !== 32))
    throw malformed('a hash of the path has not 32 bytes')
  return {
    index: parseDecimal(indexLine.slice('index '.length)),
    path,
    checkpointNote: text.slice(end + 2),
    ...(extraLine === undefined ? {} : { extra: bytesOfBase64(extraLine.slice('extra '.length)) }),
  }
}
