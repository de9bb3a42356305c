import type { Test } from 'tap'
import { connectionTo, type LoadedClient, openWithClient } from '../../support/grpc.js'
import { collect } from '../../support/ledger.js'
import { eventsOf } from './event-store-client.js'

/** What an official client sees of events that stand for those of other streams. */
export function linksOfClient(t: Test, lib: LoadedClient): void {
  const { some } = eventsOf(lib)
  const linkTo = (target: string) =>
    lib.binaryEvent({ type: '$>', data: Buffer.from(target), metadata: { why: 'chosen' } })
  const open = async (t: Test, ...targets: string[]) => {
    const opened = await openWithClient(t, lib)
    await opened.client.appendToStream('order-1', some(4))
    await opened.client.appendToStream('chosen', targets.map(linkTo))
    return opened
  }

  void t.test('a link is shown with the event that it leads to, where that is asked', async (t) => {
    const { client } = await open(t, '2@order-1')
    const [target] = await collect(client.readStream('order-1', { fromRevision: 2n, maxCount: 1 }))

    const [plain] = await collect(client.readStream('chosen'))
    const [resolved] = await collect(client.readStream('chosen', { resolveLinkTos: true }))

    t.match(plain, { event: { type: '$>', streamId: 'chosen' } })
    t.equal(plain?.link, undefined)
    t.strictSame(resolved?.event, target?.event)
    t.match(resolved?.link, { type: '$>', streamId: 'chosen', revision: 0n })
    const all = await collect(client.readAll({ resolveLinkTos: true }))
    t.strictSame(all.at(-1)?.event?.id, target?.event?.id)
  })

  void t.test('a link to nothing that is shown stands alone', async (t) => {
    const targets = ['9@order-1', '0@nowhere', 'no link at all', '0@$all', '1@order-1']
    const { grpc, client, connect } = await open(t, ...targets)
    await client.setStreamMetadata('order-1', { truncateBefore: 2 })

    const resolved = await collect(client.readStream('chosen', { resolveLinkTos: true }))

    t.equal(resolved.length, targets.length)
    for (const { event, link } of resolved) {
      t.equal(event, undefined)
      t.equal(link?.type, '$>')
    }
    await client.setStreamMetadata('order-1', { acl: { readRoles: ['bob'] } })
    const token = await grpc.token('ada', 'proposer')
    const ada = connect(connectionTo(grpc, { name: 'ada', token }))
    const hers = await collect(ada.readStream('chosen', { resolveLinkTos: true }))
    t.ok(
      hers.every(({ event }) => event === undefined),
      'it leads past no access list',
    )
  })

  void t.test('subscriptions and groups resolve links too', async (t) => {
    const { client } = await open(t, '3@order-1', '1@order-1')
    const seen: unknown[] = []
    for await (const { event, link } of client.subscribeToStream('chosen', {
      resolveLinkTos: true,
    })) {
      seen.push([event?.revision, link?.revision])
      if (seen.length === 2) break
    }
    await client.createPersistentSubscriptionToStream(
      'chosen',
      'workers',
      lib.persistentSubscriptionToStreamSettingsFromDefaults({
        startFrom: lib.START,
        resolveLinkTos: true,
      }),
    )
    const subscription = client.subscribeToPersistentSubscriptionToStream('chosen', 'workers')
    for await (const resolved of subscription) {
      seen.push([resolved.event?.revision, resolved.link?.revision])
      await subscription.ack(resolved)
      if (seen.length === 4) break
    }

    const both = [
      [3n, 0n],
      [1n, 1n],
    ]
    t.strictSame(seen, [...both, ...both])
  })
}
