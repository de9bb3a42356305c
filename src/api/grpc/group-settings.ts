import { EvidenceError } from '../../contracts/errors.js'
import {
  type ConsumerStrategy,
  consumerStrategies,
  GroupSettings,
  type SubscriptionGroup,
} from '../../contracts/subscription-group.js'
import type { LedgerView } from '../../runtime/ledger-view.js'
import type { GroupOptions, NamedGroup, SettingsMessage } from './group-messages.js'
import type { GroupName } from './groups.js'
import { nameFilter } from './name-filter.js'
import { clamped } from './read.js'
import { streamIn } from './stored-messages.js'

const ticksPerMs = 10_000

/** Which group a request names. @throws EvidenceError STREAM_INVALID, REQUEST_INVALID. */
export function groupNameIn(project: string, named: NamedGroup | undefined): GroupName {
  const { streamIdentifier, all, group = '' } = named ?? {}
  if (group === '') throw new EvidenceError('REQUEST_INVALID', 'the request names no group')
  return { project, stream: all === undefined ? streamIn(streamIdentifier) : null, group }
}

/** The stream of a group stands in one of two places, for the sake of old clients. */
export const groupNameInOptions = (project: string, options: GroupOptions): GroupName =>
  groupNameIn(project, {
    ...options,
    streamIdentifier: options.stream?.streamIdentifier ?? options.streamIdentifier,
  })

/** @throws EvidenceError REQUEST_INVALID. */
function settingsOf(settings: SettingsMessage = {}): GroupSettings {
  const { messageTimeoutTicks, checkpointAfterTicks } = settings
  const inMs = (ms: number | undefined, ticks: bigint | number | undefined, otherwise: number) =>
    ms ?? (ticks === undefined ? otherwise : Math.floor(Number(ticks) / ticksPerMs))
  const parsed = GroupSettings.safeParse({
    resolveLinks: settings.resolveLinks ?? false,
    extraStatistics: settings.extraStatistics ?? false,
    messageTimeoutMs: inMs(settings.messageTimeoutMs, messageTimeoutTicks, 0),
    maxRetryCount: settings.maxRetryCount ?? 0,
    checkpointAfterMs: inMs(settings.checkpointAfterMs, checkpointAfterTicks, 0),
    minCheckpointCount: settings.minCheckpointCount ?? 0,
    maxCheckpointCount: settings.maxCheckpointCount ?? 0,
    maxSubscriberCount: settings.maxSubscriberCount ?? 0,
    liveBufferSize: settings.liveBufferSize ?? 0,
    readBatchSize: settings.readBatchSize ?? 0,
    historyBufferSize: settings.historyBufferSize ?? 0,
    strategy: strategyOf(settings),
  })
  if (parsed.success) return parsed.data
  const fields = parsed.error.issues.map(({ path }) => path.join('.')).join(', ')
  throw new EvidenceError('REQUEST_INVALID', `the settings of the group are wrong at ${fields}`)
}

function strategyOf({ consumerStrategy, namedConsumerStrategy = 0 }: SettingsMessage) {
  // As the older form of the settings numbers them.
  const numbered: readonly ConsumerStrategy[] = ['DispatchToSingle', 'RoundRobin', 'Pinned']
  if (consumerStrategy === undefined || consumerStrategy === '')
    return numbered[namedConsumerStrategy]
  const found = consumerStrategies.find((name) => name === consumerStrategy)
  if (found === undefined)
    throw new EvidenceError(
      'REQUEST_INVALID',
      `the consumer strategy ${JSON.stringify(consumerStrategy.slice(0, 40))} is none of ${consumerStrategies.join(', ')}`,
    )
  return found
}

/** Where a group begins: at what it names itself, or at the end as it is now. */
async function beginningOf(
  ledger: LedgerView,
  { project, stream }: GroupName,
  options: GroupOptions,
): Promise<Pick<SubscriptionGroup, 'startFrom' | 'next'>> {
  const { stream: streamOptions, all, settings } = options
  // Old clients say it in the settings; newer ones say there what means nothing.
  const place =
    stream === null
      ? all?.position?.commit
      : streamOptions === undefined
        ? settings?.revision
        : streamOptions.revision
  const end = stream === null ? all?.end : streamOptions?.end
  // As an unsigned number, −1 is beyond every revision: old clients mean the end by it.
  const atEnd = end !== undefined || (place !== undefined && place > Number.MAX_SAFE_INTEGER)
  if (!atEnd) {
    const first = clamped(place ?? 0)
    return { startFrom: first, next: first }
  }
  const next =
    stream === null ? ledger.size() : ((await ledger.lastRevision(project, stream, true)) ?? -1) + 1
  return { startFrom: 'end', next }
}

/** A group as a client wants it. @throws EvidenceError REQUEST_INVALID. */
export async function groupOf(
  ledger: LedgerView,
  name: GroupName,
  options: GroupOptions,
): Promise<SubscriptionGroup> {
  const filter = options.all?.filter
  // Only to learn whether it can be applied.
  if (filter !== undefined) nameFilter(filter)
  const expression = filter?.streamIdentifier ?? filter?.eventType
  return {
    format: 'fractalops/subscription-group/1',
    ...name,
    filter:
      expression === undefined
        ? null
        : {
            on: filter?.streamIdentifier === undefined ? 'type' : 'stream',
            ...(expression.regex === undefined ? {} : { regex: expression.regex }),
            ...(expression.prefixes === undefined ? {} : { prefixes: [...expression.prefixes] }),
          },
    settings: settingsOf(options.settings),
    ...(await beginningOf(ledger, name, options)),
    checkpoint: null,
    parked: [],
  }
}
