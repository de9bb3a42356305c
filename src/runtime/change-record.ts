import { assetStream } from '../assets/state.js'
import { mutated, mutationFailed, mutationIntended, mutationResolved } from '../contracts/asset.js'
import type { ContentsEntry } from '../contracts/proposal.js'
import { proposalSubmitted } from '../contracts/proposal.js'
import { hexOf } from '../ledger/encoding.js'
import type { EventReader, RecordedEvent } from '../ledger/event-store.js'
import { jsonOf } from '../ledger/facts.js'
import type { ProposalRef } from './step-names.js'

const outcomeTypes: readonly string[] = [mutated.type, mutationFailed.type, mutationResolved.type]

export interface ChangeOf extends ProposalRef {
  /** Streams of what is changed: they tell of other changes too. */
  readonly streams: readonly string[]
}

/** What a stored event says of itself; nothing once it is erased. */
const fieldOf = (event: RecordedEvent, name: string): unknown => {
  const data = jsonOf(event)
  return typeof data === 'object' && data !== null
    ? (data as Record<string, unknown>)[name]
    : undefined
}

/** Events on a stream since the proposal was submitted, newest first. */
async function* eventsSince(
  reader: EventReader,
  project: string,
  stream: string,
  position: number,
) {
  for await (const event of reader.readStream({ project, stream, direction: 'backwards' })) {
    if (event.position < position) return
    yield event
  }
}

/** The position of the proposal's first event: nothing of the change stands before it. */
async function beginningOf(reader: EventReader, { proposalId }: ProposalRef): Promise<number> {
  // The submitted event bears the proposal's own id.
  const submitted = await reader.find(proposalId)
  return submitted !== undefined && submitted.leaf.type === proposalSubmitted.type
    ? submitted.position
    : 0
}

const entry = (stream: string, first: RecordedEvent, last: RecordedEvent): ContentsEntry => ({
  stream,
  first_revision: first.leaf.revision,
  last_revision: last.leaf.revision,
  leaf_hash: hexOf(last.leafHash),
})

async function wholeStream(
  reader: EventReader,
  project: string,
  stream: string,
): Promise<ContentsEntry[]> {
  for await (const last of reader.readStream({ project, stream, direction: 'backwards', max: 1 })) {
    for await (const first of reader.readStream({ project, stream, max: 1 }))
      return [entry(stream, first, last)]
  }
  return []
}

/** The table of contents of a change as far as it is recorded: every stream it touched, and where. */
export async function contentsOf(reader: EventReader, change: ChangeOf): Promise<ContentsEntry[]> {
  const { project, proposalId } = change
  const beginning = await beginningOf(reader, change)
  const contents = [
    ...(await wholeStream(reader, project, `proposal-${proposalId}`)),
    ...(await wholeStream(reader, project, `workflow-${proposalId}`)),
  ]
  for (const stream of change.streams) {
    let first: RecordedEvent | undefined
    let last: RecordedEvent | undefined
    for await (const event of eventsSince(reader, project, stream, beginning)) {
      if (fieldOf(event, 'proposal_id') !== proposalId) continue
      last ??= event
      first = event
    }
    if (first !== undefined && last !== undefined) contents.push(entry(stream, first, last))
  }
  return [...contents, ...(await wholeStream(reader, project, `evidence-${proposalId}`))]
}

/** Where the mutation of one asset by one proposal stands. */
export type MutationStanding = 'none' | 'open' | 'mutated' | 'failed'

export async function mutationStanding(
  reader: EventReader,
  { project, proposalId, assetId }: ProposalRef & { readonly assetId: string },
): Promise<MutationStanding> {
  const beginning = await beginningOf(reader, { project, proposalId })
  for await (const event of eventsSince(reader, project, assetStream(assetId), beginning)) {
    if (fieldOf(event, 'proposal_id') !== proposalId) continue
    if (event.leaf.type === mutationIntended.type) return 'open'
    if (!outcomeTypes.includes(event.leaf.type)) continue
    const resolvedAs =
      event.leaf.type === mutationResolved.type ? fieldOf(event, 'outcome') : undefined
    return event.leaf.type === mutated.type || resolvedAs === 'mutated' ? 'mutated' : 'failed'
  }
  return 'none'
}
