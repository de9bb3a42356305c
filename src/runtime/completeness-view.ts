import {
  leavesSinceMax,
  type PlacedLeaf,
  proofLeavesMax,
  type SealPart,
  streamProofFormat,
  windowProofFormat,
} from '../contracts/completeness.js'
import { EvidenceError } from '../contracts/errors.js'
import { type CheckpointParts, questionDigest } from '../ledger/completeness.js'
import { base64Of, hexOf } from '../ledger/encoding.js'
import type {
  EventReader,
  LogRead,
  ProofSource,
  PublishedCheckpoint,
  RecordedEvent,
} from '../ledger/event-store.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import type { SealedHead, SealedHeads } from '../ledger/sealed-heads.js'
import { keysOf, proofText } from './proof-view.js'

const coveringTimeoutMs = 10_000

/** What completeness is proven from: the log, its tree, and the map of its last seal. */
export interface CompletenessParts {
  readonly reader: Pick<EventReader, 'readLog' | 'readStream' | 'lastRevision' | 'size'>
  readonly proofs: Pick<ProofSource, 'keys' | 'checkpoint' | 'checkpointCovering' | 'proveBatch'>
  readonly heads: SealedHeads
}

const placed = ({ position, leafText }: RecordedEvent): PlacedLeaf => ({
  index: String(position),
  leaf: leafText,
})

/**
 * The proof file of a stream, or of its revisions `from` to `to`; without `to` it reaches as far as the
 * latest checkpoint, when few enough leaves stand behind the last seal.
 *
 * @throws EvidenceError STREAM_NOT_FOUND, PROOF_TOO_LARGE, REQUEST_INVALID.
 */
export async function streamProofOf(
  parts: CompletenessParts,
  {
    project,
    stream,
    from = 0,
    to,
  }: {
    readonly project: string
    readonly stream: string
    readonly from?: number | undefined
    readonly to?: number | undefined
  },
): Promise<string> {
  const { reader, proofs, heads } = parts
  const sealed = to === undefined ? await heads.prove('stream', project, stream) : undefined
  const head = await reader.lastRevision(project, stream, true)
  if (head === undefined)
    throw new EvidenceError('STREAM_NOT_FOUND', `the stream ${stream} has no event`)
  const end = to ?? head
  if (from > end || end > head)
    throw new EvidenceError(
      'REQUEST_INVALID',
      `the stream ${stream} has the revisions 0 to ${head}`,
    )
  if (end - from >= proofLeavesMax) throw tooMany(from, end)
  // Up to now, and beyond the seal: it is the last one.
  await proofs.checkpointCovering(reader.size() - 1, coveringTimeoutMs)
  const checkpoint = proofs.checkpoint()
  // The stream may have grown until the checkpoint: then the file holds that too.
  const count = to === undefined ? proofLeavesMax + 1 : end - from + 1
  const events = (
    await collect(reader.readStream({ project, stream, from, max: count, hidden: true }), count)
  ).filter(({ position }) => position < checkpoint.size)
  if (events.length > proofLeavesMax) throw tooMany(from, from + proofLeavesMax)
  const since = to === undefined ? await leavesSince(parts, sealed, checkpoint) : null
  return proofText({
    format: streamProofFormat,
    project,
    stream,
    leaves: events.map(placed),
    ...(await checkpointParts(parts, { sealed, since, checkpoint, listed: events })),
  })
}

/**
 * The proof file of every event of one type with a ledger time of `from` to before `to`.
 *
 * @throws EvidenceError PROOF_TOO_LARGE, REQUEST_INVALID; HEADS_NOT_SEALED when nothing proves yet that no more follow.
 */
export async function windowProofOf(
  parts: CompletenessParts,
  {
    project,
    type,
    from,
    to,
  }: {
    readonly project: string
    readonly type: string
    /** RFC 3339 in UTC with milliseconds, as all times of the ledger. */
    readonly from: string
    readonly to: string
  },
): Promise<string> {
  const { reader, proofs, heads } = parts
  if (from >= to) throw new EvidenceError('REQUEST_INVALID', 'a window ends after it begins')
  const head = await heads.prove('type', project, type)
  const size = reader.size()
  if (size === 0) throw new EvidenceError('HEADS_NOT_SEALED', 'the ledger holds nothing yet')
  await proofs.checkpointCovering(size - 1, coveringTimeoutMs)
  const checkpoint = proofs.checkpoint()
  const start = await firstAt(reader, from, checkpoint.size)
  const end = await firstAt(reader, to, checkpoint.size)
  const filter = { project, types: [type] }
  const one = async (read: LogRead) => (await collect(reader.readLog({ ...read, filter }), 1))[0]
  const found = await collect(reader.readLog({ from: start, filter }), proofLeavesMax + 1, end)
  if (found.length > proofLeavesMax)
    throw new EvidenceError(
      'PROOF_TOO_LARGE',
      `the window holds more than the ${proofLeavesMax} events of ${type} that one file proves`,
    )
  const before = start === 0 ? undefined : await one({ from: start - 1, direction: 'backwards' })
  const next = end >= checkpoint.size ? undefined : await one({ from: end })
  const after = next !== undefined && next.position < checkpoint.size ? next : undefined
  const sealed = after === undefined ? head : undefined
  const last = sealed === undefined ? undefined : await leafAt(reader, sealed.seal.size - 1)
  const isOver = after !== undefined || (last !== undefined && last.leaf.time >= to)
  const since = isOver ? null : await leavesSince(parts, sealed, checkpoint)
  if (!isOver && since === null && last === undefined)
    throw new EvidenceError('HEADS_NOT_SEALED', `nothing proves yet that no more of ${type} follow`)
  const listed = [before, ...found, after, last].filter((event) => event !== undefined)
  return proofText({
    format: windowProofFormat,
    project,
    type,
    from,
    to,
    question_sha256: questionDigest(nodeCrypto.sha256, { from, project, to, type }),
    before: before === undefined ? null : placed(before),
    leaves: found.map(placed),
    after: after === undefined ? null : placed(after),
    last: last === undefined ? null : placed(last),
    ...(await checkpointParts(parts, { sealed, since, checkpoint, listed })),
  })
}

const tooMany = (from: number, to: number) =>
  new EvidenceError(
    'PROOF_TOO_LARGE',
    `revisions ${from} to ${to} are more than the ${proofLeavesMax} events that one file proves`,
  )

async function collect(
  events: AsyncIterable<RecordedEvent>,
  max: number,
  end = Number.POSITIVE_INFINITY,
): Promise<RecordedEvent[]> {
  const found: RecordedEvent[] = []
  for await (const event of events) {
    if (event.position >= end) break
    found.push(event)
    if (found.length >= max) break
  }
  return found
}

/** The event at a position; undefined when there stands none. */
async function leafAt(
  reader: CompletenessParts['reader'],
  position: number,
): Promise<RecordedEvent | undefined> {
  if (position < 0) return undefined
  const [event] = await collect(reader.readLog({ from: position, max: 1 }), 1)
  return event?.position === position ? event : undefined
}

/** The first position below `size` from which on every event has at least this time: ledger time never decreases. */
async function firstAt(
  reader: CompletenessParts['reader'],
  time: string,
  size: number,
): Promise<number> {
  let low = 0
  let high = size
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [event] = await collect(reader.readLog({ from: middle, max: 1 }), 1)
    if (event === undefined || event.position >= size || event.leaf.time >= time) high = middle
    else low = event.position + 1
  }
  return low
}

/** Every leaf that the seal does not cover; null when there are too many, or some are no events. */
async function leavesSince(
  { reader }: CompletenessParts,
  sealed: SealedHead | undefined,
  { size }: PublishedCheckpoint,
): Promise<readonly RecordedEvent[] | null> {
  const from = sealed?.seal.size ?? 0
  if (size - from > leavesSinceMax) return null
  const leaves = await collect(reader.readLog({ from, max: size - from }), size - from, size)
  return leaves.length === size - from ? leaves : null
}

async function checkpointParts(
  { proofs }: CompletenessParts,
  {
    sealed,
    since,
    checkpoint,
    listed,
  }: {
    readonly sealed: SealedHead | undefined
    readonly since: readonly RecordedEvent[] | null
    readonly checkpoint: PublishedCheckpoint
    readonly listed: readonly RecordedEvent[]
  },
): Promise<CheckpointParts> {
  const all = [...listed, ...(sealed === undefined ? [] : [sealed.event]), ...(since ?? [])]
  const positions = [...new Set(all.map(({ position }) => position))].sort((a, b) => a - b)
  const nodes = await proofs.proveBatch(positions, checkpoint.size)
  return {
    seal: sealed === undefined ? null : sealPart(sealed),
    since: since?.map(({ leafText }) => leafText) ?? null,
    nodes: nodes.map(base64Of),
    checkpoint: checkpoint.note,
    keys: [
      ...keysOf(
        checkpoint.note,
        proofs.keys.map(({ vkey }) => vkey),
      ),
    ],
  }
}

function sealPart({ event, head, proof }: SealedHead): SealPart {
  if (event.data === null) throw new RangeError('the data of a seal is never erased')
  const { bytes, salt } = event.data
  const { siblings, other } = proof
  const headOf = ({ number, leafHash }: { number: number; leafHash: Uint8Array }) => ({
    number: String(number),
    leaf_hash: hexOf(leafHash),
  })
  return {
    ...placed(event),
    data: { bytes: base64Of(bytes), salt: base64Of(salt) },
    head: head === null ? null : headOf(head),
    way: {
      siblings: siblings.map((hash) => (hash === null ? null : base64Of(hash))),
      other: other === null ? null : { key: hexOf(other.key), ...headOf(other) },
    },
  }
}
