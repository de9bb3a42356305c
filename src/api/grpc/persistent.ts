import { EvidenceError } from '../../contracts/errors.js'
import type { Identity } from '../../runtime/identities.js'
import { recorders } from '../access.js'
import { requireReading } from '../streams.js'
import { userNameIn } from './caller.js'
import {
  ConsumeRequest,
  type ConsumeRequest as Request,
  ConsumeResponse,
  DeleteGroupRequest,
  GroupInfoRequest,
  GroupInfoResponse,
  GroupRequest,
  ListRequest,
  ListResponse,
  ReplayRequest,
} from './group-messages.js'
import type { Consumer, Group, Message, NackAction } from './group.js'
import { infoOf } from './group-info.js'
import { groupNameIn, groupNameInOptions, groupOf } from './group-settings.js'
import { groupDropped, groupFull, groupMissing, type Groups } from './groups.js'
import { answering } from './links.js'
import { Empty } from './messages.js'
import type { MethodParts } from './parts.js'
import { requireNotEnded } from './read.js'
import { bidi, type Call, type Method, type Send, unary } from './rpc.js'
import { streamIn, uuidIn, wantsStructured } from './stored-messages.js'
import type { MessageType } from '../../contracts/protobuf.js'

const path = (method: string) =>
  `/event_store.client.persistent_subscriptions.PersistentSubscriptions/${method}`

/** Persistent subscriptions: groups of consumers whose progress the server keeps. */
export const persistent = (parts: MethodParts, groups: Groups): readonly Method[] => [
  ...changing(parts, groups),
  ...asking(parts, groups),
  bidi(path('Read'), ConsumeRequest, ConsumeResponse, (requests, call, send) =>
    consume(parts, groups, requests, call, send),
  ),
]

const changing = ({ callers, ledger }: MethodParts, groups: Groups): readonly Method[] => [
  unary(path('Create'), GroupRequest, Empty, async ({ options = {} }, { metadata }) => {
    const { project } = await callers.require(metadata, recorders)
    const name = groupNameInOptions(project, options)
    await groups.create(await groupOf(ledger, name, options))
    return {}
  }),
  unary(path('Update'), GroupRequest, Empty, async ({ options = {} }, { metadata }) => {
    const { project } = await callers.require(metadata, recorders)
    const name = groupNameInOptions(project, options)
    const wanted = await groupOf(ledger, name, options)
    await groups.update(name, ({ checkpoint, next, parked, filter }) => ({
      ...wanted,
      filter,
      parked,
      // What consumers are done with does not come again.
      ...(checkpoint === null ? {} : { checkpoint, next }),
    }))
    return {}
  }),
  unary(path('Delete'), DeleteGroupRequest, Empty, async ({ options }, { metadata }) => {
    const { project } = await callers.require(metadata, recorders)
    await groups.remove(groupNameIn(project, options))
    return {}
  }),
  unary(path('ReplayParked'), ReplayRequest, Empty, async ({ options = {} }, { metadata }) => {
    const { project } = await callers.require(metadata, recorders)
    const group = await groups.get(groupNameIn(project, options))
    const { stopAt } = options
    await group.replay(stopAt === undefined ? Number.POSITIVE_INFINITY : Number(stopAt))
    return {}
  }),
  unary(path('RestartSubsystem'), Empty, Empty, async (_, { metadata }) => {
    await callers.require(metadata, recorders)
    await groups.restart()
    return {}
  }),
]

const asking = ({ callers }: MethodParts, groups: Groups): readonly Method[] => [
  unary(path('GetInfo'), GroupInfoRequest, GroupInfoResponse, async ({ options }, call) => {
    const { project } = await callers.require(call.metadata, 'reading')
    return { info: infoOf(await groups.get(groupNameIn(project, options))) }
  }),
  unary(path('List'), ListRequest, ListResponse, async ({ options = {} }, call) => {
    const { project } = await callers.require(call.metadata, 'reading')
    const all = await groups.list(project)
    const { listForStream } = options
    if (listForStream === undefined) return { groups: all.map(infoOf) }
    const stream = listForStream.all === undefined ? streamIn(listForStream.streamIdentifier) : null
    const found = all.filter(({ state }) => state.stream === stream)
    if (found.length === 0) throw groupMissing({ stream, group: '' })
    return { groups: found.map(infoOf) }
  }),
]

const nackActions: readonly NackAction[] = ['retry', 'park', 'retry', 'skip', 'stop']

async function consume(
  parts: MethodParts,
  groups: Groups,
  requests: AsyncIterable<Request>,
  call: Call,
  send: Send<MessageType<typeof ConsumeResponse>>,
): Promise<void> {
  const caller = await parts.callers.require(call.metadata, 'reading')
  const dropping = new AbortController()
  let joined: { readonly group: Group; readonly consumer: Consumer } | undefined
  let sending: Promise<void> = Promise.resolve()
  /** Fails when the group ends this call, or a message cannot be sent. */
  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => undefined)

  const join = async (options: NonNullable<Request['options']>) => {
    const name = groupNameIn(caller.project, options)
    if (name.stream !== null) {
      await requireReading(parts.ledger, caller, name.stream)
      await requireNotEnded(parts.ledger, name.project, name.stream)
    }
    const group = await groups.get(name)
    const { maxSubscriberCount } = group.state.settings
    if (maxSubscriberCount > 0 && group.consumers.size >= maxSubscriberCount) throw groupFull(name)
    const answer = answering(parts.ledger, caller, {
      structured: wantsStructured(options.uuidOption),
      resolveLinks: group.state.settings.resolveLinks,
    })
    const consumer = consumerOf(caller, call, options, {
      deliver({ event, retryCount }: Message) {
        // At most `bufferSize` of them wait here: the group gives no more.
        sending = sending
          .then(async () => {
            const shown = await answer(event)
            return send({ event: { ...shown.event, retryCount } })
          })
          .catch(fail)
      },
      drop: () => fail(groupDropped(name)),
    })
    await send({ confirmation: { subscriptionId: `${name.stream ?? '$all'}::${name.group}` } })
    joined = { group, consumer }
    group.join(consumer)
  }

  const listen = async () => {
    for await (const { options, ack, nack } of requests) {
      if (options !== undefined && joined === undefined) await join(options)
      else if (joined === undefined)
        throw new EvidenceError('REQUEST_INVALID', 'the call names no group first')
      const { group, consumer } = joined ?? {}
      if (group === undefined || consumer === undefined) continue
      if (ack !== undefined) group.ack(consumer, (ack.ids ?? []).map(uuidIn))
      if (nack !== undefined) {
        const action = nackActions[nack.action ?? 0] ?? 'retry'
        group.nack(consumer, (nack.ids ?? []).map(uuidIn), action, nack.reason ?? '')
      }
    }
  }

  try {
    await Promise.race([listen(), failed, aborted(call.signal, dropping.signal)])
  } finally {
    dropping.abort()
    joined?.group.leave(joined.consumer)
  }
}

/** Rejects when the call is over. */
const aborted = (over: AbortSignal, done: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = () => reject(new EvidenceError('SERVICE_NOT_RUNNING', 'the call is over'))
    over.addEventListener('abort', end, { once: true, signal: done })
    if (over.aborted) end()
  })

const bufferSizeMax = 4_096

const consumerOf = (
  { name }: Identity,
  { metadata, peer }: Call,
  { bufferSize = 10 }: NonNullable<Request['options']>,
  how: Pick<Consumer, 'deliver' | 'drop'>,
): Consumer => ({
  username: userNameIn(metadata) ?? name,
  connectionName: metadata.get('connection-name')[0]?.toString() ?? '',
  from: peer,
  bufferSize: Math.min(Math.max(bufferSize, 1), bufferSizeMax),
  inFlight: 0,
  total: 0,
  latencies: [],
  ...how,
})
