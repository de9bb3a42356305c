import { once } from 'node:events'
import type { Test } from 'tap'
import { type Client, failureOf, type LoadedClient, openWithClient } from '../../support/grpc.js'
import { eventually } from '../../support/product.js'
import { eventsOf } from './event-store-client.js'

/** What an official client sees of persistent subscriptions. */
export function groupsOfClient(t: Test, lib: LoadedClient): void {
  consuming(t, lib)
  retrying(t, lib)
  dividing(t, lib)
  keeping(t, lib)
  administering(t, lib)
}

type Subscription = ReturnType<Client['subscribeToPersistentSubscriptionToStream']>
type Resolved = Parameters<Subscription['ack']>[0]
type Settings = Parameters<LoadedClient['persistentSubscriptionToStreamSettingsFromDefaults']>[0]

const stream = 'order-1'
const group = 'workers'

async function openGroup(t: Test, lib: LoadedClient, settings: Settings = {}, events = 0) {
  const opened = await openWithClient(t, lib)
  const { client } = opened
  if (events > 0) await client.appendToStream(stream, eventsOf(lib).some(events))
  await client.createPersistentSubscriptionToStream(
    stream,
    group,
    lib.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: lib.START, ...settings }),
  )
  return {
    ...opened,
    info: () => client.getPersistentSubscriptionToStreamInfo(stream, group),
    consume: (options = {}) =>
      client.subscribeToPersistentSubscriptionToStream(stream, group, options),
  }
}

const revisionOf = ({ event }: Resolved): number => Number(event?.revision)

/** Takes messages, doing something with each, until so many came. */
async function take(
  subscription: Subscription,
  count: number,
  handle: (resolved: Resolved) => Promise<void> = (resolved) => subscription.ack(resolved),
): Promise<number[]> {
  const seen: number[] = []
  for await (const resolved of subscription) {
    seen.push(revisionOf(resolved))
    await handle(resolved)
    if (seen.length === count) break
  }
  return seen
}

function consuming(t: Test, lib: LoadedClient): void {
  const { some } = eventsOf(lib)

  void t.test('a group gets what was there and what comes, each message once', async (t) => {
    const { client, consume } = await openGroup(t, lib, {}, 20)
    const taking = take(consume(), 24)

    await client.appendToStream(stream, some(4))

    t.strictSame(
      await taking,
      Array.from({ length: 24 }, (_, i) => i),
    )
  })

  void t.test('a group begins at a revision, or at the end', async (t) => {
    const { client, consume } = await openGroup(t, lib, { startFrom: 1n }, 4)
    await client.createPersistentSubscriptionToStream(
      stream,
      'late',
      lib.persistentSubscriptionToStreamSettingsFromDefaults(),
    )
    await client.appendToStream(stream, some(1))

    t.strictSame(await take(consume(), 4), [1, 2, 3, 4])
    const late = client.subscribeToPersistentSubscriptionToStream(stream, 'late')
    t.strictSame(await take(late, 1), [4])
  })

  void t.test('a group on $all takes a filter', async (t) => {
    const { client } = await openWithClient(t, lib)
    await client.createPersistentSubscriptionToAll(
      group,
      lib.persistentSubscriptionToAllSettingsFromDefaults({ startFrom: lib.START }),
      { filter: lib.streamNameFilter({ prefixes: ['order-'] }) },
    )
    await client.appendToStream('other', some(3))
    await client.appendToStream('order-2', some(2))
    const subscription = client.subscribeToPersistentSubscriptionToAll(group)
    const seen: string[] = []
    for await (const resolved of subscription) {
      seen.push(resolved.event?.streamId ?? '')
      await subscription.ack(resolved)
      if (seen.length === 2) break
    }

    t.strictSame(seen, ['order-2', 'order-2'])
  })

  void t.test(
    'a consumer that never acknowledges gets what it has room for, no more',
    async (t) => {
      const { info, consume } = await openGroup(t, lib, {}, 1_000)
      const subscription = consume({ bufferSize: 7 })
      let count = 0
      subscription.on('data', () => {
        count += 1
      })
      await eventually('seven messages', () => (count === 7 ? true : undefined))

      const { stats, connections } = await info()
      t.equal(stats.totalInFlightMessages, 7)
      t.match(connections, [{ availableSlots: 0, inFlightMessages: 7, username: 'administrator' }])
      t.ok(Number(stats.liveBufferCount) <= 500, 'what is read ahead is bounded')
      await subscription.unsubscribe()
      t.equal(count, 7)
    },
  )
}

function retrying(t: Test, lib: LoadedClient): void {
  void t.test('what is refused is skipped, given again, or parked', async (t) => {
    const { info, consume } = await openGroup(t, lib, { maxRetryCount: 2 }, 4)
    const subscription = consume()
    const retries: [number, number][] = []

    await take(subscription, 6, async (resolved) => {
      const revision = revisionOf(resolved)
      retries.push([revision, 'retryCount' in resolved ? Number(resolved.retryCount) : -1])
      if (revision === 0) await subscription.nack('skip', 'not mine', resolved)
      else if (revision === 1) await subscription.nack('park', 'broken', resolved)
      else if (revision === 2) await subscription.nack('retry', 'not yet', resolved)
      else await subscription.ack(resolved)
    })

    t.strictSame(
      retries.filter(([revision]) => revision === 2).map(([, count]) => count),
      [0, 1, 2],
    )
    await eventually('two parked messages', async () =>
      (await info()).stats.parkedMessageCount === 2n ? true : undefined,
    )
  })

  void t.test('what is not acknowledged in time is given again', async (t) => {
    const { consume } = await openGroup(t, lib, { messageTimeout: 100 }, 1)
    const subscription = consume()

    const seen = await take(subscription, 2, async () => {})

    t.strictSame(seen, [0, 0])
  })

  void t.test('parked messages are replayed, as many as are asked for', async (t) => {
    const { client, info, consume } = await openGroup(t, lib, {}, 5)
    const parking = consume()
    await take(parking, 5, (resolved) => parking.nack('park', 'later', resolved))
    const parked = (count: bigint) =>
      eventually(`${count} parked`, async () =>
        (await info()).stats.parkedMessageCount === count ? true : undefined,
      )
    await parked(5n)
    await parking.unsubscribe()

    await client.replayParkedMessagesToStream(stream, group, { stopAt: 2 })
    const replaying = consume()
    t.strictSame(await take(replaying, 2), [0, 1])
    await eventually('all of them done', async () =>
      (await info()).stats.totalInFlightMessages === 0 ? true : undefined,
    )
    await replaying.unsubscribe()
    await parked(3n)
    await client.replayParkedMessagesToStream(stream, group)
    t.strictSame(await take(consume(), 3), [2, 3, 4])
    await parked(0n)
  })

  void t.test('what a lost consumer held goes to another', async (t) => {
    const { consume } = await openGroup(t, lib, {}, 3)
    const first = consume()
    await take(first, 3, async () => {})
    await first.unsubscribe()

    t.strictSame(await take(consume(), 3), [0, 1, 2])
  })
}

function dividing(t: Test, lib: LoadedClient): void {
  const { ROUND_ROBIN, DISPATCH_TO_SINGLE, PINNED } = lib

  const shares = async (
    t: Test,
    consumerStrategyName: NonNullable<Settings>['consumerStrategyName'],
  ) => {
    const { client } = await openWithClient(t, lib)
    await client.createPersistentSubscriptionToAll(
      group,
      lib.persistentSubscriptionToAllSettingsFromDefaults({
        startFrom: lib.START,
        ...(consumerStrategyName === undefined ? {} : { consumerStrategyName }),
      }),
      { filter: lib.streamNameFilter({ prefixes: ['order-'] }) },
    )
    const taken: string[][] = [[], []]
    for (const list of taken) {
      const subscription = client.subscribeToPersistentSubscriptionToAll(group, { bufferSize: 100 })
      subscription.on('data', (resolved) => {
        list.push(resolved.event?.streamId ?? '')
        void subscription.ack(resolved)
      })
      await once(subscription, 'confirmation')
    }
    for (let i = 0; i < 20; i += 1)
      await client.appendToStream(`order-${i % 5}`, eventsOf(lib).some(1))
    await eventually('twenty messages', () =>
      (taken[0]?.length ?? 0) + (taken[1]?.length ?? 0) === 20 ? true : undefined,
    )
    return taken
  }

  void t.test('RoundRobin gives to one after the other', async (t) => {
    const [first, second] = await shares(t, ROUND_ROBIN)
    t.strictSame([first?.length, second?.length], [10, 10])
  })

  void t.test('DispatchToSingle gives to one as long as it can', async (t) => {
    const [first, second] = await shares(t, DISPATCH_TO_SINGLE)
    t.strictSame([first?.length, second?.length], [20, 0])
  })

  void t.test('Pinned gives a stream to one consumer', async (t) => {
    const [first = [], second = []] = await shares(t, PINNED)
    t.strictSame(
      first.filter((name) => second.includes(name)),
      [],
    )
  })
}

function keeping(t: Test, lib: LoadedClient): void {
  void t.test('a server that is started again goes on behind what was done', async (t) => {
    const settings = { checkPointLowerBound: 1, checkPointUpperBound: 1, checkPointAfter: 1 }
    const { grpc, info, consume } = await openGroup(t, lib, settings, 10)
    const first = consume()
    first.on('error', () => {})
    await take(first, 6, async (resolved) =>
      revisionOf(resolved) === 5 ? first.nack('park', 'later', resolved) : first.ack(resolved),
    )
    await eventually('a checkpoint', async () =>
      (await info()).stats.lastCheckpointedEventRevision === 5n ? true : undefined,
    )

    await grpc.restart()
    const again = await eventually('the server answering', info)

    t.equal(again.stats.parkedMessageCount, 1n)
    t.strictSame(await take(consume(), 4), [6, 7, 8, 9])
  })
}

function administering(t: Test, lib: LoadedClient): void {
  void t.test('groups are created once, told, updated, listed and deleted', async (t) => {
    const { client, info, consume } = await openGroup(t, lib)
    const settings = lib.persistentSubscriptionToStreamSettingsFromDefaults({
      startFrom: 123n,
      maxSubscriberCount: 1,
      checkPointLowerBound: 12,
      consumerStrategyName: lib.PINNED,
      extraStatistics: true,
    })
    const exists = await failureOf(
      client.createPersistentSubscriptionToStream(stream, group, settings),
    )
    t.ok(exists instanceof lib.PersistentSubscriptionExistsError, String(exists))

    const dropped = consume()
    await once(dropped, 'confirmation')
    const failing = once(dropped, 'error')
    await client.updatePersistentSubscriptionToStream(stream, group, settings)
    const [error] = (await failing) as [unknown]
    t.ok(error instanceof lib.PersistentSubscriptionDroppedError, String(error))
    t.strictSame((await info()).settings, settings)

    const one = consume()
    one.on('error', () => {})
    await once(one, 'confirmation')
    const other = consume()
    const [full] = (await once(other, 'error')) as [unknown]
    t.ok(full instanceof lib.PersistentSubscriptionMaximumSubscribersReachedError, String(full))
    const [connection] = (await info()).connections
    t.ok(connection?.extraStatistics?.get('quintile 3') !== undefined)

    t.equal((await client.listPersistentSubscriptionsToStream(stream)).length, 1)
    t.equal((await client.listAllPersistentSubscriptions()).length, 1)
    await client.restartPersistentSubscriptionSubsystem()
    t.strictSame((await info()).settings, settings)
    await client.deletePersistentSubscriptionToStream(stream, group)

    const missing = lib.PersistentSubscriptionDoesNotExistError
    for (const attempt of [
      info,
      () => client.deletePersistentSubscriptionToStream(stream, group),
      () => client.updatePersistentSubscriptionToStream(stream, group, settings),
      () => client.replayParkedMessagesToStream(stream, group),
      () => client.listPersistentSubscriptionsToStream('nowhere'),
    ]) {
      const error = await failureOf(attempt())
      t.ok(error instanceof missing, String(error))
    }
    const unknown = consume()
    const [gone] = (await once(unknown, 'error')) as [unknown]
    t.ok(gone instanceof missing, String(gone))
  })
}
