import { StreamProofFile } from '../contracts/completeness.js'
import {
  checkHead,
  type CompletenessReport,
  mismatch,
  type Numbered,
  openLeaf,
  type Tied,
  tie,
} from './completeness.js'
import { hexOf } from './encoding.js'
import type { ProofCrypto } from './note.js'
import { judgeTrust, parseCanonical, type ProofStep, type ProofTrust } from './proof-file.js'

/** Every event of a stream, or of a part of it, and up to where that holds. */
export interface StreamReport extends CompletenessReport {
  readonly kind: 'stream'
  readonly stream: string
  readonly first: number
  readonly last: number
  /** Beyond the last event nothing stands: below the checkpoint, below the seal, or nothing is said. */
  readonly upTo: 'checkpoint' | 'seal' | 'head'
}

/**
 * Verifies a stream proof without network and without us.
 *
 * @throws EvidenceError PROOF_MALFORMED; PROOF_MISMATCH naming what does not match;
 * PROOF_KEY_UNKNOWN or PROOF_NOT_WITNESSED when the proof is sound but no trusted key, or too few
 * witnesses, signed it (details `{report}`).
 */
export function verifyStreamProof(
  text: string | Uint8Array,
  trust: ProofTrust,
  crypto: ProofCrypto,
): StreamReport {
  const file = parseCanonical(StreamProofFile, text)
  const { project, stream } = file
  const events = file.leaves.map((placed): Numbered => {
    const opened = openLeaf(crypto, placed)
    return { ...opened, number: Number(opened.leaf.revision) }
  })
  const chain = checkChain(project, stream, events)
  const tied = tie(crypto, file, events)
  const first = events[0]?.number ?? 0
  const last = events.at(-1)?.number ?? 0
  const upTo = tied.since !== null ? 'checkpoint' : tied.seal !== null ? 'seal' : 'head'
  const steps: ProofStep[] = [
    { name: 'form', summary: 'The file is in its only form', computed: { format: file.format } },
    chain,
    ...tied.steps,
  ]
  if (file.seal !== null && tied.seal !== null)
    steps.push(
      checkHead(crypto, file.seal, tied.seal, { kind: 'stream', project, name: stream }, events),
    )
  if (tied.since !== null) steps.push(checkSince(project, stream, events, tied, tied.since))
  return judgeTrust(
    {
      kind: 'stream',
      project,
      stream,
      first,
      last,
      upTo,
      statement: statementOf(stream, events, tied, upTo),
      events: events.length,
      checkpoint: tied.checkpoint,
      seal: tied.seal,
      position: Math.max(events.at(-1)?.index ?? 0, tied.seal?.position ?? 0),
      signedBy: file.keys,
      trusted: [],
      witnesses: [],
      steps,
    },
    tied.signed,
    trust,
    crypto,
  )
}

/** Revisions without a gap, each naming the event before it. */
function checkChain(project: string, stream: string, events: readonly Numbered[]): ProofStep {
  let before: Numbered | undefined
  for (const event of events) {
    const { leaf, number, index } = event
    if (leaf.project !== project || leaf.stream !== stream)
      throw mismatch(
        `the event at position ${index} is of the stream ${leaf.stream} of ${leaf.project}, not of ${stream} of ${project}`,
      )
    if (before !== undefined && number !== before.number + 1)
      throw mismatch(`revision ${before.number + 1} is missing: revision ${number} follows`)
    if (before !== undefined && leaf.prev !== hexOf(before.leafHash))
      throw mismatch(`revision ${number} does not name the event that stands before it in the file`)
    if ((leaf.prev === null) !== (number === 0))
      throw mismatch(`revision ${number} says that it is the first event of its stream or is not`)
    if (before !== undefined && index <= before.index)
      throw mismatch(`revision ${number} stands before revision ${before.number} on the ledger`)
    before = event
  }
  const [first] = events
  return {
    name: 'list',
    summary: `Revisions ${first?.number ?? 0} to ${before?.number ?? 0} follow each other without a gap`,
    computed: { head: before === undefined ? '' : hexOf(before.leafHash) },
  }
}

/** No leaf since the seal is of the stream but those that are listed. */
function checkSince(
  project: string,
  stream: string,
  events: readonly Numbered[],
  { checkpoint, sinceSize }: Tied,
  since: NonNullable<Tied['since']>,
): ProofStep {
  const listed = new Set(events.map(({ index }) => index))
  const first = events[0]?.number ?? 0
  for (const { index, leaf } of since) {
    const isOfStream = leaf.project === project && leaf.stream === stream
    if (isOfStream && !listed.has(index) && Number(leaf.revision) >= first)
      throw mismatch(`revision ${leaf.revision} at position ${index} is left out`)
  }
  return {
    name: 'since',
    summary: `None of the ${since.length} leaves from position ${sinceSize} to the checkpoint is left out`,
    computed: { size: String(checkpoint.size) },
  }
}

function statementOf(
  stream: string,
  events: readonly Numbered[],
  { checkpoint, seal }: Tied,
  upTo: StreamReport['upTo'],
): string {
  const first = events[0]?.number ?? 0
  const last = events.at(-1)?.number ?? 0
  const what =
    first === 0
      ? `all ${events.length} events of stream ${stream} up to revision ${last}`
      : `all ${events.length} events of stream ${stream} from revision ${first} to ${last}`
  const sealed = seal === null ? '' : `, sealed at position ${seal.position}`
  const under = `under checkpoint size ${checkpoint.size}`
  if (upTo === 'checkpoint') return `${what}${sealed} ${under}; it has no other below that size`
  if (upTo === 'seal')
    return `${what}${sealed} ${under}; it has no other among the first ${seal?.size ?? 0} leaves, what follows revision ${last} later is not proven`
  return `${what} ${under}; complete up to this named head, what follows it is not proven`
}
