import { WindowProofFile } from '../contracts/completeness.js'
import {
  checkHead,
  type CompletenessReport,
  mismatch,
  type Numbered,
  type OpenLeaf,
  openLeaf,
  questionDigest,
  type Tied,
  tie,
} from './completeness.js'
import type { ProofCrypto } from './note.js'
import { judgeTrust, parseCanonical, type ProofStep, type ProofTrust } from './proof-file.js'

/** Every event of one type in a window of ledger time, and up to where that holds. */
export interface WindowReport extends CompletenessReport {
  readonly kind: 'window'
  readonly type: string
  readonly from: string
  readonly to: string
  /** The whole window for ever, or what of it lies below the checkpoint or below the seal. */
  readonly upTo: 'window' | 'checkpoint' | 'seal'
}

interface Window {
  readonly project: string
  readonly type: string
  readonly from: string
  readonly to: string
  readonly before: Numbered | null
  readonly events: readonly Numbered[]
  readonly after: Numbered | null
  readonly last: OpenLeaf | null
}

/**
 * Verifies a window proof without network and without us.
 *
 * @throws EvidenceError PROOF_MALFORMED; PROOF_MISMATCH naming what does not match;
 * PROOF_KEY_UNKNOWN or PROOF_NOT_WITNESSED when the proof is sound but no trusted key, or too few
 * witnesses, signed it (details `{report}`).
 */
export function verifyWindowProof(
  text: string | Uint8Array,
  trust: ProofTrust,
  crypto: ProofCrypto,
): WindowReport {
  const file = parseCanonical(WindowProofFile, text)
  const { project, type, from, to } = file
  if (questionDigest(crypto.sha256, file) !== file.question_sha256)
    throw mismatch('the digest of the question is that of another window')
  const numbered = (placed: Parameters<typeof openLeaf>[1]): Numbered => {
    const opened = openLeaf(crypto, placed)
    return { ...opened, number: Number(opened.leaf.type_seq) }
  }
  const window: Window = {
    project,
    type,
    from,
    to,
    before: file.before === null ? null : numbered(file.before),
    events: file.leaves.map(numbered),
    after: file.after === null ? null : numbered(file.after),
    last: file.last === null ? null : openLeaf(crypto, file.last),
  }
  const list = checkList(window)
  const tied = tie(crypto, file, [
    ...(window.before === null ? [] : [window.before]),
    ...window.events,
    ...(window.after === null ? [] : [window.after]),
    ...(window.last === null ? [] : [window.last]),
  ])
  const steps: ProofStep[] = [
    { name: 'form', summary: 'The file is in its only form', computed: { format: file.format } },
    list,
    ...tied.steps,
  ]
  if (file.seal !== null && tied.seal !== null) {
    const known = [window.before, ...window.events, window.after].filter((one) => one !== null)
    steps.push(
      checkHead(crypto, file.seal, tied.seal, { kind: 'type', project, name: type }, known),
    )
  }
  if (tied.since !== null) steps.push(checkSince(window, tied, tied.since))
  const upTo = endOf(window, tied)
  return judgeTrust(
    {
      kind: 'window',
      project,
      type,
      from,
      to,
      upTo,
      statement: statementOf(window, tied, upTo),
      events: window.events.length,
      checkpoint: tied.checkpoint,
      seal: tied.seal,
      position: Math.max(
        window.before?.index ?? 0,
        window.events.at(-1)?.index ?? 0,
        window.after?.index ?? 0,
        tied.seal?.position ?? 0,
      ),
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

/** Numbers without a gap from one neighbour to the other, times on their side of the window's ends. */
function checkList(window: Window): ProofStep {
  const { project, type, from, to, before, events, after } = window
  if (from >= to) throw mismatch(`the window ends at ${to}, not after it begins`)
  const all = [...(before === null ? [] : [before]), ...events, ...(after === null ? [] : [after])]
  let number = before?.number ?? 0
  let index = -1
  for (const one of all) {
    const { leaf } = one
    if (leaf.project !== project || leaf.type !== type)
      throw mismatch(
        `the event at position ${one.index} is ${leaf.type} of ${leaf.project}, not ${type} of ${project}`,
      )
    if (one.number !== number)
      throw mismatch(`number ${number} of ${type} is missing: number ${one.number} follows`)
    if (one.index <= index)
      throw mismatch(`number ${number} of ${type} stands before the one it follows on the ledger`)
    number += 1
    index = one.index
  }
  for (const { leaf, number: own } of events) {
    if (leaf.time < from || leaf.time >= to)
      throw mismatch(`number ${own} of ${type} was recorded ${leaf.time}, outside of the window`)
  }
  if (before !== null && before.leaf.time >= from)
    throw mismatch(`the neighbour before the window was recorded ${before.leaf.time}, inside of it`)
  if (after !== null && after.leaf.time < to)
    throw mismatch(`the neighbour behind the window was recorded ${after.leaf.time}, not behind it`)
  return {
    name: 'list',
    summary:
      all.length === 0
        ? `No event of ${type} is listed`
        : `Numbers ${all[0]?.number ?? 0} to ${number - 1} of ${type} follow each other without a gap`,
    computed: { before: before?.leaf.time ?? '', after: after?.leaf.time ?? '' },
  }
}

/** No leaf since the seal is of the type and in the window but those that are listed. */
function checkSince(
  { project, type, from, to, events }: Window,
  { checkpoint, sinceSize }: Tied,
  since: readonly OpenLeaf[],
): ProofStep {
  const listed = new Set(events.map(({ index }) => index))
  for (const { index, leaf } of since) {
    const isInside =
      leaf.project === project && leaf.type === type && leaf.time >= from && leaf.time < to
    if (isInside && !listed.has(index))
      throw mismatch(`number ${leaf.type_seq} of ${type} at position ${index} is left out`)
  }
  return {
    name: 'since',
    summary: `None of the ${since.length} leaves from position ${sinceSize} to the checkpoint is left out`,
    computed: { size: String(checkpoint.size) },
  }
}

/** How far the end of the window is proven. @throws EvidenceError PROOF_MISMATCH when it is not at all. */
function endOf({ to, after, last }: Window, { seal, since }: Tied): WindowReport['upTo'] {
  if (last !== null && (seal === null || last.index !== seal.size - 1))
    throw mismatch('the last leaf that the seal covers is another one')
  if (after !== null) return 'window'
  if (seal !== null && last !== null && last.leaf.time >= to) return 'window'
  if (since !== null) return 'checkpoint'
  if (seal !== null && last !== null) return 'seal'
  throw mismatch('nothing in the file shows that the list does not go on')
}

function statementOf(
  { type, from, to, events, last }: Window,
  { checkpoint, seal, since }: Tied,
  upTo: WindowReport['upTo'],
): string {
  const count = events.length === 0 ? 'no event' : `all ${events.length} events`
  const sealed = seal === null ? '' : `, sealed at position ${seal.position}`
  const what = `${count} of type ${type} from ${from} to before ${to}${sealed} under checkpoint size ${checkpoint.size}`
  if (upTo === 'window') return `${what}; no other can be recorded in this window any more`
  if (upTo === 'checkpoint') {
    const end = since?.at(-1)?.leaf.time
    return `${what}; there is no other below that size${end === undefined ? '' : `, whose last leaf is of ${end}`}`
  }
  return `${what}; there is no other among the first ${seal?.size ?? 0} leaves, which reach to ${last?.leaf.time ?? ''}; later ones are not proven`
}
