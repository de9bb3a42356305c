import { once } from 'node:events'
import type { Test } from 'tap'
import { type LoadedClient, openWithClient } from '../../support/grpc.js'
import { collect } from '../../support/ledger.js'
import { eventsOf } from './event-store-client.js'

interface Emitting {
  on(event: string, listener: (...values: never[]) => void): unknown
}

/** What an official client sees of catch-up subscriptions. */
export function subscriptionsOfClient(t: Test, lib: LoadedClient): void {
  followingStreams(t, lib)
  followingAll(t, lib)
  filtering(t, lib)
  staying(t, lib)
}

/** Reads a subscription until an event of the type arrives, and ends it. */
async function until<Resolved extends { readonly event?: { readonly type: string } }>(
  subscription: AsyncIterable<Resolved>,
  type: string,
): Promise<NonNullable<Resolved['event']>[]> {
  const seen: NonNullable<Resolved['event']>[] = []
  for await (const { event } of subscription) {
    if (event === undefined) continue
    seen.push(event)
    if (event.type === type) break
  }
  return seen
}

/** Counts what a subscription tells beside its events. */
function signalsOf(subscription: Emitting) {
  const counts = { confirmation: 0, caughtUp: 0, fellBehind: 0 }
  for (const name of Object.keys(counts) as (keyof typeof counts)[])
    subscription.on(name, () => {
      counts[name] += 1
    })
  return counts
}

function followingStreams(t: Test, lib: LoadedClient): void {
  const { some, placed } = eventsOf(lib)
  const end = () => lib.jsonEvent({ type: 'end', data: {} })

  void t.test('a subscription to a stream gets what was there and what comes', async (t) => {
    const { client } = await openWithClient(t, lib)
    await client.appendToStream('order-1', some(4))
    await client.appendToStream('order-11', some(1))

    const subscription = client.subscribeToStream('order-1')
    const signals = signalsOf(subscription)
    await once(subscription, 'caughtUp')
    await client.appendToStream('order-11', placed(1))
    await client.appendToStream('order-1', [...some(3), end()])
    const seen = await until(subscription, 'end')

    t.strictSame(
      seen.map(({ revision }) => Number(revision)),
      [0, 1, 2, 3, 4, 5, 6, 7],
    )
    t.match(signals, { confirmation: 1, caughtUp: 1, fellBehind: 0 })
  })

  void t.test('it begins behind a revision, or at the end', async (t) => {
    const { client } = await openWithClient(t, lib)
    await client.appendToStream('order-1', some(4))

    const behind = client.subscribeToStream('order-1', { fromRevision: 2n })
    const atEnd = client.subscribeToStream('order-1', { fromRevision: lib.END })
    await Promise.all([once(behind, 'caughtUp'), once(atEnd, 'caughtUp')])
    await client.appendToStream('order-1', end())

    const revisions = async (subscription: typeof behind) =>
      (await until(subscription, 'end')).map(({ revision }) => Number(revision))
    t.strictSame(await revisions(behind), [3, 4])
    t.strictSame(await revisions(atEnd), [4])
  })

  void t.test('a stream that is not there yet is waited for', async (t) => {
    const { client } = await openWithClient(t, lib)

    const subscription = client.subscribeToStream('order-1')
    await once(subscription, 'caughtUp')
    await client.appendToStream('order-1', end())

    t.equal((await until(subscription, 'end')).length, 1)
  })
}

function followingAll(t: Test, lib: LoadedClient): void {
  const { some } = eventsOf(lib)
  const end = () => lib.jsonEvent({ type: 'end', data: {} })

  void t.test('a subscription to $all gets every stream in the order of the log', async (t) => {
    const { client } = await openWithClient(t, lib)
    await client.appendToStream('order-1', some(3))
    const subscription = client.subscribeToAll()
    await once(subscription, 'caughtUp')
    await client.appendToStream('order-2', [...some(2), end()])

    const seen = await until(subscription, 'end')

    const all = await collect(client.readAll())
    t.strictSame(
      seen.map(({ id }) => id),
      all.map(({ event }) => event?.id),
    )
  })

  void t.test('it goes on behind the position of the last event that was seen', async (t) => {
    const { client } = await openWithClient(t, lib)
    const { position } = await client.appendToStream('order-1', some(3))
    if (position === undefined) return t.fail('an append has a position')

    const subscription = client.subscribeToAll({ fromPosition: position })
    await client.appendToStream('order-1', [...some(1), end()])

    t.strictSame(
      (await until(subscription, 'end')).map(({ revision }) => Number(revision)),
      [3, 4],
    )
  })
}

function filtering(t: Test, lib: LoadedClient): void {
  const { some } = eventsOf(lib)
  const typed = (type: string) => lib.jsonEvent({ type, data: {} })
  const { eventTypeFilter, excludeSystemEvents, streamNameFilter } = lib

  void t.test('a filter on streams or types, by prefix or pattern, is applied', async (t) => {
    const { client } = await openWithClient(t, lib)
    await client.appendToStream('order-1', [typed('placed'), typed('paid')])
    await client.appendToStream('17_parcel', [typed('packed')])
    await client.appendToStream('other', [typed('noise')])
    await client.appendToStream('order-2', [typed('placed'), typed('paid')])
    await client.appendToStream('17_parcel', [typed('paid'), typed('end')])
    await client.appendToStream('order-3', [typed('end')])
    const types = async (
      filter: NonNullable<Parameters<typeof client.subscribeToAll>[0]>['filter'],
    ) =>
      (await until(client.subscribeToAll(filter === undefined ? {} : { filter }), 'end')).map(
        ({ type }) => type,
      )

    t.strictSame(await types(streamNameFilter({ prefixes: ['order-', 'nothing'] })), [
      'placed',
      'paid',
      'placed',
      'paid',
      'end',
    ])
    t.strictSame(await types(streamNameFilter({ regex: '^[0-9]*_parcel$' })), [
      'packed',
      'paid',
      'end',
    ])
    t.strictSame(await types(eventTypeFilter({ prefixes: ['pa', 'end'] })), [
      'paid',
      'packed',
      'paid',
      'paid',
      'end',
    ])
    t.strictSame(await types(eventTypeFilter({ regex: '^(placed|end)$' })), [
      'placed',
      'placed',
      'end',
    ])
    t.equal((await types(excludeSystemEvents())).length, 8, 'up to the first end')
  })

  void t.test('a filter that cannot be is refused, and one that never ends too', async (t) => {
    const { client } = await openWithClient(t, lib)
    await client.appendToStream(`${'a'.repeat(60)}!`, some(1))
    const refused = async (regex: string) => {
      const subscription = client.subscribeToAll({ filter: streamNameFilter({ regex }) })
      const [error] = (await once(subscription, 'error')) as [Error]
      return error.message
    }

    t.match(await refused('('), /regular expression/)
    t.match(await refused('^(a+)+$'), /ms for one name/)
  })

  void t.test(
    'checkpoints say how far was looked, and a subscriber goes on from there',
    async (t) => {
      const { client } = await openWithClient(t, lib)
      const checkpoints: bigint[] = []
      let active = false
      const filter = streamNameFilter({
        prefixes: ['wanted'],
        checkpointInterval: 2,
        checkpointReached: async (_, { commit }) => {
          t.notOk(active, 'one after the other')
          active = true
          checkpoints.push(commit)
          await Promise.resolve()
          active = false
        },
      })
      for (let i = 0; i < 5; i += 1) await client.appendToStream('noise', some(40))
      const subscription = client.subscribeToAll({ filter })
      await once(subscription, 'caughtUp')
      const { position } = await client.appendToStream('wanted', typed('end'))

      t.equal((await until(subscription, 'end')).length, 1)

      // 201 events, one checkpoint for each 64 of them, and one at the head.
      t.equal(checkpoints.length, 4)
      const last = checkpoints.at(-1)
      if (last === undefined || position === undefined) return t.fail('a checkpoint was reached')
      t.ok(last < position.commit)
      const again = client.subscribeToAll({
        filter: streamNameFilter({ prefixes: ['wanted'] }),
        fromPosition: { commit: last, prepare: last },
      })
      t.equal((await until(again, 'end')).length, 1)
    },
  )
}

function staying(t: Test, lib: LoadedClient): void {
  const { some } = eventsOf(lib)

  void t.test(
    'a server that is started again is told as unavailable, and nothing is lost',
    async (t) => {
      const { grpc, client } = await openWithClient(t, lib)
      await client.appendToStream('order-1', some(3))
      const subscription = client.subscribeToStream('order-1')
      const seen: bigint[] = []
      subscription.on('data', ({ event }) => {
        if (event !== undefined) seen.push(event.revision)
      })
      await once(subscription, 'caughtUp')

      const failing = once(subscription, 'error')
      await grpc.restart()
      const [error] = (await failing) as [unknown]
      t.ok(
        error instanceof lib.UnavailableError || error instanceof lib.CancelledError,
        String(error),
      )
      await client.appendToStream('order-1', lib.jsonEvent({ type: 'end', data: {} }))

      const again = client.subscribeToStream('order-1', { fromRevision: seen.at(-1) ?? lib.START })
      const rest = await until(again, 'end')
      t.strictSame([...seen, ...rest.map(({ revision }) => revision)].map(Number), [0, 1, 2, 3])
    },
  )
}
