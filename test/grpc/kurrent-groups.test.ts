import { once } from 'node:events'
import * as kurrent from '@kurrent/kurrentdb-client'
import t from 'tap'
import { groupsOfClient } from '../integration/shared/event-store-groups.js'
import { clientPackage, connectionTo, openTestGrpc } from '../support/grpc.js'
import { eventually } from '../support/product.js'

groupsOfClient(t, await clientPackage('@kurrent/kurrentdb-client'))

t.test('PinnedByCorrelation gives what belongs together to one consumer', async (t) => {
  const grpc = await openTestGrpc(t)
  const client = kurrent.KurrentDBClient.connectionString(
    connectionTo(grpc, { name: 'administrator', token: grpc.admin }),
  )
  t.teardown(() => client.dispose())
  await client.createPersistentSubscriptionToStream(
    'order-1',
    'workers',
    kurrent.persistentSubscriptionToStreamSettingsFromDefaults({
      startFrom: kurrent.START,
      consumerStrategyName: kurrent.PINNED_BY_CORRELATION,
    }),
  )
  const taken: unknown[][] = [[], []]
  for (const list of taken) {
    const subscription = client.subscribeToPersistentSubscriptionToStream('order-1', 'workers', {
      bufferSize: 100,
    })
    subscription.on('data', (resolved) => {
      list.push((resolved.event?.metadata as { $correlationId?: string }).$correlationId)
      void subscription.ack(resolved)
    })
    await once(subscription, 'confirmation')
  }
  const step = (n: number) =>
    kurrent.jsonEvent({ type: 'step', data: { n }, metadata: { $correlationId: `run-${n % 7}` } })

  await client.appendToStream(
    'order-1',
    Array.from({ length: 42 }, (_, n) => step(n)),
  )

  const [first = [], second = []] = await eventually('42 messages', () =>
    taken.flat().length === 42 ? taken : undefined,
  )
  t.ok(first.length > 0 && second.length > 0, 'both have some')
  t.strictSame(
    first.filter((run) => second.includes(run)),
    [],
  )
})
