import type { SubscriptionGroup } from '../../contracts/subscription-group.js'
import type { Consumer, Group } from './group.js'
import type { GroupInfo } from './group-messages.js'

const placeText = ({ stream }: SubscriptionGroup, place: number | null): string =>
  place === null ? '' : stream === null ? `C:${place}/P:${place}` : String(place)

/** How a group stands, as clients of EventStoreDB are told. */
export function infoOf(group: Group): GroupInfo {
  const { state, consumers } = group
  const { settings } = state
  const { fresh, retries, inFlight, total, lastKnown } = group.counts()
  return {
    eventSource: state.stream ?? '$all',
    groupName: state.group,
    status: 'Live',
    connections: [...consumers].map((consumer) => connectionOf(consumer, settings.extraStatistics)),
    averagePerSecond: 0,
    totalItems: total,
    countSinceLastMeasurement: 0,
    lastCheckpointedEventPosition: placeText(state, state.checkpoint),
    lastKnownEventPosition: placeText(state, lastKnown),
    resolveLinkTos: settings.resolveLinks,
    startFrom: placeText(state, state.startFrom === 'end' ? -1 : state.startFrom),
    messageTimeoutMilliseconds: settings.messageTimeoutMs,
    extraStatistics: settings.extraStatistics,
    maxRetryCount: settings.maxRetryCount,
    liveBufferSize: settings.liveBufferSize,
    bufferSize: settings.historyBufferSize,
    readBatchSize: settings.readBatchSize,
    checkPointAfterMilliseconds: settings.checkpointAfterMs,
    minCheckPointCount: settings.minCheckpointCount,
    maxCheckPointCount: settings.maxCheckpointCount,
    readBufferCount: fresh,
    liveBufferCount: fresh,
    retryBufferCount: retries,
    totalInFlightMessages: inFlight,
    outstandingMessagesCount: inFlight,
    namedConsumerStrategy: settings.strategy,
    maxSubscriberCount: settings.maxSubscriberCount,
    parkedMessageCount: state.parked.length,
  }
}

const connectionOf = (consumer: Consumer, extra: boolean) => ({
  from: consumer.from,
  username: consumer.username,
  averageItemsPerSecond: 0,
  totalItems: consumer.total,
  countSinceLastMeasurement: 0,
  observedMeasurements: extra ? measurementsOf(consumer.latencies) : [],
  availableSlots: consumer.bufferSize - consumer.inFlight,
  inFlightMessages: consumer.inFlight,
  connectionName: consumer.connectionName,
})

const quantiles: Readonly<Record<string, number>> = {
  Fastest: 0,
  'Quintile 1': 0.2,
  'Quintile 2': 0.4,
  Median: 0.5,
  'Quintile 3': 0.6,
  'Quintile 4': 0.8,
  '90%': 0.9,
  '95%': 0.95,
  '99%': 0.99,
  'Quintile 5': 1,
  Highest: 1,
}

/** Milliseconds from sending a message to its acknowledgement. */
function measurementsOf(latencies: readonly number[]) {
  const sorted = [...latencies].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))] ?? 0
  const mean = sorted.reduce((sum, one) => sum + one, 0) / Math.max(1, sorted.length)
  return [
    { key: 'Mean', value: Math.round(mean) },
    ...Object.entries(quantiles).map(([key, part]) => ({ key, value: Math.round(at(part)) })),
  ]
}
