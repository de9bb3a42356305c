import type { Test } from 'tap'
import { failureOf, type LoadedClient, openWithClient } from '../../support/grpc.js'
import { collect } from '../../support/ledger.js'
import { eventsOf, expecting } from './event-store-client.js'

/** What an official client sees of deleted streams and of their metadata. */
export function deletionByClient(t: Test, lib: LoadedClient): void {
  const { placed, some } = eventsOf(lib)
  const { NO_STREAM, STREAM_EXISTS } = lib
  const isA = async (
    t: Test,
    promise: Promise<unknown>,
    error: new (...values: never[]) => unknown,
    fields: object = {},
  ) => {
    const failure = await failureOf(promise)
    t.ok(failure instanceof error, String(failure))
    t.match(failure, fields)
  }

  void t.test('a deleted stream is not found, begins again, and keeps its numbers', async (t) => {
    const { grpc, client } = await openWithClient(t, lib)
    await client.appendToStream('order-1', some(4))
    const kept = (await collect(grpc.ledger.readLog())).map(({ leafText }) => leafText)

    await client.deleteStream('order-1', expecting(3n))

    await isA(t, collect(client.readStream('order-1')), lib.StreamNotFoundError)
    await isA(
      t,
      client.appendToStream('order-1', placed(1), expecting(STREAM_EXISTS)),
      lib.WrongExpectedVersionError,
    )
    const again = await client.appendToStream('order-1', placed(9), expecting(NO_STREAM))
    t.equal(again.nextExpectedRevision, 4n)
    t.strictSame(
      (await collect(client.readStream('order-1'))).map(({ event }) => event?.revision),
      [4n],
    )
    t.strictSame(
      (await collect(grpc.ledger.readLog())).map(({ leafText }) => leafText).slice(0, kept.length),
      kept,
      'every leaf is as it was',
    )
    const hidden = await grpc.send<{ items: unknown[] }>('GET', '/v1/streams/order-1?hidden=true', {
      token: await grpc.token('grace', 'auditor'),
    })
    t.equal(hidden.body.items.length, 5, 'an auditor reads all of it')
  })

  void t.test('a deletion keeps the expected revision', async (t) => {
    const { client } = await openWithClient(t, lib)
    await client.appendToStream('order-1', some(2))
    const conflict = { streamName: 'order-1' }

    for (const revision of [0n, NO_STREAM] as const) {
      const wrong = lib.WrongExpectedVersionError
      await isA(t, client.deleteStream('order-1', expecting(revision)), wrong, conflict)
      await isA(t, client.tombstoneStream('order-1', expecting(revision)), wrong, conflict)
    }
    await isA(t, client.deleteStream('nowhere'), lib.WrongExpectedVersionError, {
      streamName: 'nowhere',
    })
    await client.setStreamMetadata('only-metadata', { cacheControl: 10 })
    await client.deleteStream('only-metadata', expecting(NO_STREAM))

    t.equal((await collect(client.readStream('order-1'))).length, 2)
  })

  void t.test('a stream whose events are hidden for their age is there all the same', async (t) => {
    const { grpc, client, credentials } = await openWithClient(t, lib)
    await client.appendToStream('order-1', some(3))
    await client.setStreamMetadata('order-1', { maxAge: 1 })
    grpc.clock.nowMs += 60_000

    for (const how of [{}, { credentials }])
      await isA(
        t,
        client.appendToStream('order-1', placed(1), { ...how, ...expecting(NO_STREAM) }),
        lib.WrongExpectedVersionError,
        { streamName: 'order-1' },
      )
    const asked = await client.appendToStream('order-1', [], expecting(2n))
    t.equal(asked.nextExpectedRevision, 2n, 'an append of nothing sees what is hidden too')
    const again = await client.appendToStream('order-1', placed(1), expecting(STREAM_EXISTS))
    t.equal(again.nextExpectedRevision, 3n)
    await client.deleteStream('order-1', expecting(3n))
  })

  void t.test('a stream that was ended takes nothing and shows nothing, for ever', async (t) => {
    const { grpc, client, credentials } = await openWithClient(t, lib)
    await client.appendToStream('order-1', some(2))

    await client.tombstoneStream('order-1')
    await client.tombstoneStream('order-2', expecting(NO_STREAM))

    const refused: readonly (() => Promise<unknown>)[] = [
      () => collect(client.readStream('order-1')),
      () => client.appendToStream('order-1', placed(1)),
      () => client.appendToStream('order-1', placed(1), { credentials }),
      () => client.tombstoneStream('order-1'),
      () => client.deleteStream('order-1'),
      () => client.setStreamMetadata('order-1', { maxCount: 1 }),
    ]
    for (const attempt of refused) await isA(t, attempt(), lib.StreamDeletedError)
    await isA(t, collect(client.readStream('order-2')), lib.StreamDeletedError)
    const sent = await grpc.send<{ code: string }>('PUT', '/v1/streams/order-1/metadata', {
      token: grpc.admin,
      body: {},
    })
    t.match(sent.body, { code: 'STREAM_DELETED' }, 'over HTTP too')
    const all = await collect(client.readAll())
    t.equal(
      all.filter(({ event }) => event?.streamId === 'order-1').length,
      2,
      'the log keeps its events',
    )
  })

  void t.test('nothing deletes a stream of a reserved category, or the ledger’s own', async (t) => {
    const { grpc, client } = await openWithClient(t, lib)
    const before = grpc.ledger.size()

    for (const stream of ['identity-ada', 'asset-web', 'ledger-1', '$ledger-1', '$anything']) {
      await isA(t, client.deleteStream(stream), lib.AccessDeniedError)
      await isA(t, client.tombstoneStream(stream), lib.AccessDeniedError)
    }

    t.equal(grpc.ledger.size(), before)
  })

  void t.test('metadata of a stream is set, read and kept', async (t) => {
    const { client } = await openWithClient(t, lib)
    await client.appendToStream('order-1', some(5))

    t.equal((await client.getStreamMetadata('order-1')).metadata, undefined)
    await client.setStreamMetadata('order-1', { maxCount: 2, colour: 'red' }, expecting(NO_STREAM))
    await isA(
      t,
      client.setStreamMetadata('order-1', { maxCount: 1 }, expecting(NO_STREAM)),
      lib.WrongExpectedVersionError,
    )

    const { metadata } = await client.getStreamMetadata('order-1')
    t.match(metadata, { maxCount: 2, colour: 'red' })
    t.strictSame(
      (await collect(client.readStream('order-1'))).map(({ event }) => event?.revision),
      [3n, 4n],
    )
  })

  void t.test(
    'of the metadata of a stream clients see what was set last, whichever way they read',
    async (t) => {
      const { client } = await openWithClient(t, lib)
      for (const maxCount of [3, 2, 1]) await client.setStreamMetadata('order-1', { maxCount })
      const seen = async (options: Parameters<typeof client.readStream>[1]) =>
        (await collect(client.readStream('$$order-1', options))).map(({ event }) => event?.revision)

      t.strictSame(await seen({}), [2n])
      t.strictSame(await seen({ fromRevision: 1n, maxCount: 1 }), [2n])
      t.strictSame(await seen({ direction: lib.BACKWARDS, fromRevision: lib.END }), [2n])
      t.strictSame(await seen({ direction: lib.BACKWARDS, fromRevision: 1n }), [])
      const subscription = client.subscribeToStream('$$order-1')
      for await (const { event } of subscription) {
        t.equal(event?.revision, 2n)
        break
      }
    },
  )
}
