import { createHash } from 'node:crypto'
import {
  assetObserved,
  assetRegistered,
  type AssetSpec,
  type AssetState,
  mutated,
  mutationFailed,
  mutationIndeterminate,
  mutationIntended,
  mutationResolved,
} from '../contracts/asset.js'
import { canonicalBytes } from '../contracts/canonical-json.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { dataOf, isOf } from '../ledger/facts.js'

/** A mutation whose outcome is not recorded yet. */
export interface OpenMutation {
  readonly mutationId: string
  readonly proposalId: string
  readonly operation: string
  readonly status: 'in-progress' | 'indeterminate'
  /** Ledger time of its intent. */
  readonly since: string
  readonly baseStateRevision: string
}

/** An asset as its events tell it. Decimal strings and times are in the form of the ledger. */
export interface AssetRecord {
  readonly project: string
  readonly assetId: string
  readonly spec: AssetSpec
  readonly specSha256: string
  readonly state: AssetState
  /** Dense from 0, which is the registration. */
  readonly stateRevision: string
  readonly stateSha256: string
  /** When and by which event the present state was recorded. */
  readonly recordedAt: string
  readonly eventId: string
  readonly position: number
  readonly registeredAt: string
  /** Last revision of the asset's stream. */
  readonly lastRevision: number
  /** The proposal that holds the present configuration; null while it is that of `spec`. */
  readonly configuredBy: string | null
  readonly mutation: OpenMutation | null
}

export const assetStream = (assetId: string): string => `asset-${assetId}`

/** SHA-256 of the RFC 8785 form: the digest of states, specifications and parameters. */
export const jsonSha256 = (value: unknown): string =>
  createHash('sha256').update(canonicalBytes(value)).digest('hex')

/** SHA-256 of the UTF-8 bytes: the digest of configurations. */
export const textSha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export const nextStateRevision = (record: AssetRecord): string =>
  String(Number(record.stateRevision) + 1)

const stateTypes = [mutated, mutationFailed, mutationResolved, assetObserved].map(
  ({ type }) => type,
)

function registered(event: RecordedEvent): AssetRecord | undefined {
  const data = dataOf(assetRegistered, event)
  if (data === undefined) return undefined
  const { leaf, position } = event
  return {
    project: leaf.project,
    assetId: data.asset_id,
    spec: data.spec,
    specSha256: data.spec_sha256,
    state: data.state,
    stateRevision: data.state_revision,
    stateSha256: data.state_sha256,
    recordedAt: leaf.time,
    eventId: leaf.id,
    position,
    registeredAt: leaf.time,
    lastRevision: Number(leaf.revision),
    configuredBy: null,
    mutation: null,
  }
}

/** The new state that an event tells, with what else it changes; undefined when it tells none or was erased. */
function stateIn(record: AssetRecord, event: RecordedEvent): Partial<AssetRecord> | undefined {
  if (isOf(assetObserved, event)) {
    const data = dataOf(assetObserved, event)
    return data && { state: data.state, stateSha256: data.state_sha256 }
  }
  for (const contract of [mutated, mutationFailed, mutationResolved] as const) {
    if (!isOf(contract, event)) continue
    // The three share the fields that are read here.
    const data = dataOf(contract as typeof mutated, event)
    if (data === undefined) return { mutation: null }
    const configures =
      data.state.desired.configuration_sha256 !== record.state.desired.configuration_sha256
    return {
      state: data.state,
      stateSha256: data.state_sha256,
      configuredBy: configures ? data.proposal_id : record.configuredBy,
      mutation: null,
    }
  }
  return undefined
}

function mutationIn(record: AssetRecord, event: RecordedEvent): OpenMutation | null {
  if (isOf(mutationIntended, event)) {
    const data = dataOf(mutationIntended, event)
    if (data === undefined) return record.mutation
    return {
      mutationId: data.mutation_id,
      proposalId: data.proposal_id,
      operation: data.operation,
      status: 'in-progress',
      since: event.leaf.time,
      baseStateRevision: data.state_revision,
    }
  }
  if (isOf(mutationIndeterminate, event) && record.mutation !== null) {
    return { ...record.mutation, status: 'indeterminate' }
  }
  return record.mutation
}

/**
 * The record after one more event of its stream. An event whose data was erased still counts: its
 * revision is used up, and the last readable state stands.
 */
export function evolveAsset(
  record: AssetRecord | undefined,
  event: RecordedEvent,
): AssetRecord | undefined {
  if (record === undefined) {
    return event.leaf.writer === 'activity' && isOf(assetRegistered, event)
      ? registered(event)
      : undefined
  }
  const lastRevision = Number(event.leaf.revision)
  // Written past the capability, by a client of another backend: it tells nothing of the asset.
  if (event.leaf.writer !== 'activity') return { ...record, lastRevision }
  if (!stateTypes.includes(event.leaf.type)) {
    return { ...record, lastRevision, mutation: mutationIn(record, event) }
  }
  return {
    ...record,
    ...stateIn(record, event),
    lastRevision,
    stateRevision: nextStateRevision(record),
    recordedAt: event.leaf.time,
    eventId: event.leaf.id,
    position: event.position,
  }
}
