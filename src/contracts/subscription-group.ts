import * as z from 'zod'
import { LeafStream } from './leaf.js'
import { Project } from './identifiers.js'

const count = z.int().min(0).max(2_147_483_647)

/** How the events of a group are given to its consumers. */
export const consumerStrategies = [
  'RoundRobin',
  'DispatchToSingle',
  'Pinned',
  'PinnedByCorrelation',
] as const
export const ConsumerStrategy = z.enum(consumerStrategies)
export type ConsumerStrategy = z.infer<typeof ConsumerStrategy>

export const GroupSettings = z.strictObject({
  resolveLinks: z.boolean(),
  extraStatistics: z.boolean(),
  messageTimeoutMs: count,
  maxRetryCount: count,
  checkpointAfterMs: count,
  minCheckpointCount: count,
  maxCheckpointCount: count,
  /** 0 = as many as come. */
  maxSubscriberCount: count,
  liveBufferSize: count,
  readBatchSize: count,
  historyBufferSize: count,
  strategy: ConsumerStrategy,
})
export type GroupSettings = z.infer<typeof GroupSettings>

const FilterExpression = z.strictObject({
  on: z.enum(['stream', 'type']),
  regex: z.string().max(1_024).optional(),
  prefixes: z.array(z.string().max(512)).max(1_024).optional(),
})

export const parkedMax = 100_000

/** A message that its consumers could not do anything with; it waits for somebody to replay it. */
export const ParkedMessage = z.strictObject({
  position: z.int().min(0),
  reason: z.string().max(1_024),
})
export type ParkedMessage = z.infer<typeof ParkedMessage>

/**
 * A persistent subscription: how it is set up, how far its consumers have come, and what they could not do.
 * It tells of readers and never of what happened, so that it stands beside the ledger and not on it.
 */
export const SubscriptionGroup = z.strictObject({
  format: z.literal('fractalops/subscription-group/1'),
  project: Project,
  /** Null = the whole log. */
  stream: LeafStream.nullable(),
  group: z.string().min(1).max(1_024),
  filter: FilterExpression.nullable(),
  settings: GroupSettings,
  /** As it was asked for: a revision or position, or the end as it was then. */
  startFrom: z.union([z.int().min(0), z.literal('end')]),
  /** The first revision or position that no consumer was done with. */
  next: z.int().min(0),
  /** The last one that was done with when this was written; null = none yet. */
  checkpoint: z.int().min(0).nullable(),
  parked: z.array(ParkedMessage).max(parkedMax),
})
export type SubscriptionGroup = z.infer<typeof SubscriptionGroup>

/** Where the state of groups is kept. */
export interface GroupStore {
  /** Every group that was kept. */
  load(): Promise<readonly SubscriptionGroup[]>
  /** Durable when it resolves. */
  save(group: SubscriptionGroup): Promise<void>
  remove(group: SubscriptionGroup): Promise<void>
}
