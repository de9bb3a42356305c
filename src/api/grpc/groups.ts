import { status } from '@grpc/grpc-js'
import type { GroupStore, SubscriptionGroup } from '../../contracts/subscription-group.js'
import { type Group, runGroup } from './group.js'
import type { MethodParts } from './parts.js'
import { ProtocolError } from './status.js'

export const groupsMax = 1_024

/** Which group is meant; a null stream is the whole log. */
export type GroupName = Pick<SubscriptionGroup, 'project' | 'stream' | 'group'>

/** Every persistent subscription of this server. */
export interface Groups {
  /** @throws ProtocolError persistent-subscription-does-not-exist. */
  get(name: GroupName): Promise<Group>
  list(project: string): Promise<readonly Group[]>
  /** @throws ProtocolError persistent-subscription-exists. */
  create(group: SubscriptionGroup): Promise<void>
  /** Ends its consumers' calls and goes on with other settings. */
  update(name: GroupName, change: (present: SubscriptionGroup) => SubscriptionGroup): Promise<void>
  remove(name: GroupName): Promise<void>
  /** Ends every consumer's call and begins anew from what was kept. */
  restart(): Promise<void>
  end(): Promise<void>
}

const shownStream = ({ stream }: Pick<GroupName, 'stream'>): string => stream ?? '$all'

const trailersOf = (name: Pick<GroupName, 'stream' | 'group'>) => ({
  'stream-name': shownStream(name),
  'group-name': name.group,
})

export const groupMissing = (name: Pick<GroupName, 'stream' | 'group'>): ProtocolError =>
  new ProtocolError(
    status.NOT_FOUND,
    'persistent-subscription-does-not-exist',
    `Subscription group ${name.group} on stream ${shownStream(name)} does not exist.`,
    trailersOf(name),
  )

const groupExists = (name: GroupName): ProtocolError =>
  new ProtocolError(
    status.ALREADY_EXISTS,
    'persistent-subscription-exists',
    `Subscription group ${name.group} on stream ${shownStream(name)} exists.`,
    trailersOf(name),
  )

export const groupFull = (name: GroupName): ProtocolError =>
  new ProtocolError(
    status.FAILED_PRECONDITION,
    'maximum-subscribers-reached',
    `Maximum subscriptions reached for subscription group ${name.group} on stream ${shownStream(name)}.`,
    trailersOf(name),
  )

export const groupDropped = (name: GroupName): ProtocolError =>
  new ProtocolError(
    status.CANCELLED,
    'persistent-subscription-dropped',
    `Subscription group ${name.group} on stream ${shownStream(name)} was dropped.`,
    trailersOf(name),
  )

const groupFailed = (name: GroupName, reason: string): ProtocolError =>
  new ProtocolError(
    status.INTERNAL,
    'persistent-subscription-failed',
    `Subscription group ${name.group} on stream ${shownStream(name)} failed: ${reason}`,
    { ...trailersOf(name), reason },
  )

export function openGroups(
  parts: Pick<MethodParts, 'ledger' | 'now' | 'log'>,
  store: GroupStore,
): Groups {
  const running = new Map<string, Group>()
  const keyOf = ({ project, stream, group }: GroupName) => JSON.stringify([project, stream, group])
  const run = (group: SubscriptionGroup) =>
    running.set(keyOf(group), runGroup(group, { ...parts, store }))
  const loadAll = async () => {
    for (const group of await store.load()) run(group)
  }
  let loading: Promise<void> | undefined
  /** One change after the other: what one ends, another must not begin meanwhile. */
  let changing: Promise<unknown> = Promise.resolve()
  const inTurn = <Answer>(change: () => Promise<Answer>): Promise<Answer> => {
    const mine = changing.then(() => (loading ??= loadAll())).then(change)
    changing = mine.catch(() => undefined)
    return mine
  }
  const find = (name: GroupName): Group => {
    const group = running.get(keyOf(name))
    if (group === undefined) throw groupMissing(name)
    return group
  }

  return {
    get: (name) => inTurn(async () => find(name)),
    list: (project) =>
      inTurn(async () => [...running.values()].filter(({ state }) => state.project === project)),
    create: (group) =>
      inTurn(async () => {
        if (running.has(keyOf(group))) throw groupExists(group)
        if (running.size >= groupsMax) throw groupFailed(group, `there are ${groupsMax} already`)
        await store.save(group)
        run(group)
      }),
    update: (name, change) =>
      inTurn(async () => {
        const before = find(name)
        await before.end()
        const after = change(before.state)
        await store.save(after)
        run(after)
      }),
    remove: (name) =>
      inTurn(async () => {
        const group = find(name)
        await group.end()
        await store.remove(group.state)
        running.delete(keyOf(name))
      }),
    restart: () =>
      inTurn(async () => {
        for (const group of running.values()) await group.end()
        running.clear()
        await loadAll()
      }),
    end: () =>
      inTurn(async () => {
        for (const group of running.values()) await group.end()
      }),
  }
}
