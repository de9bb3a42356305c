import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import {
  connectionTo,
  failureOf,
  type LoadedClient,
  openTestGrpc,
  openWithClient,
  type TestGrpc,
} from '../../support/grpc.js'
import { collect } from '../../support/ledger.js'
import { batchEventsMax } from '../../../src/ledger/event-store.js'

/** What an official client does with streams. Each of them runs this against the real server. */
export function streamsOfClient(t: Test, lib: LoadedClient): void {
  readingBack(t, lib)
  reading(t, lib)
  expectingRevisions(t, lib)
  refusing(t, lib)
  connecting(t, lib)
}

/** The newer client has another name for it. */
export const expecting = <const Expected>(revision: Expected) => ({
  expectedRevision: revision,
  streamState: revision,
})

export const eventsOf = (lib: LoadedClient) => {
  const placed = (n: number) => lib.jsonEvent({ type: 'order.placed', data: { n } })
  return { placed, some: (count: number) => Array.from({ length: count }, (_, n) => placed(n)) }
}

function readingBack(t: Test, lib: LoadedClient): void {
  const { placed } = eventsOf(lib)

  void t.test('what a client appends it reads back, as it was sent', async (t) => {
    const { grpc, client } = await openWithClient(t, lib)
    const json = lib.jsonEvent({
      id: randomUUID(),
      type: 'order.placed',
      data: { amount: 1, name: 'Zoë' },
      metadata: { who: 'ada' },
    })
    const binary = lib.binaryEvent({ type: 'scan', data: Buffer.from([0, 255, 7]) })

    const appended = await client.appendToStream('orders of today', [json, binary])
    const [first, second, ...others] = await collect(client.readStream('orders of today'))

    t.match(appended, { success: true, nextExpectedRevision: 1n })
    t.strictSame(others, [])
    t.match(first?.event, {
      id: json.id,
      streamId: 'orders of today',
      type: 'order.placed',
      revision: 0n,
      isJson: true,
      data: { amount: 1, name: 'Zoë' },
      metadata: { who: 'ada' },
      created: new Date(grpc.clock.nowMs),
    })
    t.match(second?.event, { type: 'scan', isJson: false, revision: 1n })
    t.strictSame(Buffer.from(second?.event?.data as Uint8Array), Buffer.from([0, 255, 7]))
    t.strictSame(second?.event?.position, appended.position, 'the position of the last one')
    const stored = await grpc.ledger.find(json.id)
    t.match(stored?.leaf, { writer: 'client', actor: 'administrator', version: '0' })
  })

  void t.test(
    'the same event again is answered as the first time, and stands there once',
    async (t) => {
      const { client, credentials } = await openWithClient(t, lib)
      const event = placed(1)
      const none = expecting(lib.NO_STREAM)

      const first = await client.appendToStream('order-1', event, none)
      const again = await client.appendToStream('order-1', event, none)
      const other = await client.appendToStream('order-1', event, { credentials })

      t.strictSame([again, other], [first, first])
      t.equal((await collect(client.readStream('order-1'))).length, 1)
      const reused = await failureOf(client.appendToStream('order-2', event))
      t.match(reused, { message: /EVENT_ID_REUSED/ }, 'an id that stands elsewhere is refused')
    },
  )
}

function reading(t: Test, lib: LoadedClient): void {
  const { some } = eventsOf(lib)
  const { BACKWARDS, END, FORWARDS } = lib

  void t.test(
    'a stream is read in both directions, from a revision, as far as asked',
    async (t) => {
      const { client } = await openWithClient(t, lib)
      await client.appendToStream('order-1', some(8))
      const revisions = async (options: Parameters<typeof client.readStream>[1]) =>
        (await collect(client.readStream('order-1', options))).map(({ event }) =>
          Number(event?.revision),
        )

      t.strictSame(await revisions({}), [0, 1, 2, 3, 4, 5, 6, 7])
      t.strictSame(await revisions({ fromRevision: 6n }), [6, 7])
      t.strictSame(await revisions({ maxCount: 2 }), [0, 1])
      t.strictSame(
        await revisions({ direction: BACKWARDS, fromRevision: END, maxCount: 3 }),
        [7, 6, 5],
      )
      t.strictSame(await revisions({ direction: BACKWARDS, fromRevision: 1n }), [1, 0])
      t.strictSame(await revisions({ direction: FORWARDS, fromRevision: 20n }), [])
      t.strictSame(
        await revisions({ direction: BACKWARDS, fromRevision: 18_446_744_073_709_551_615n }),
        [7, 6, 5, 4, 3, 2, 1, 0],
      )
    },
  )

  void t.test('a stream that is not there is an error of its own', async (t) => {
    const { client } = await openWithClient(t, lib)

    const error = await failureOf(collect(client.readStream('nowhere')))

    t.ok(error instanceof lib.StreamNotFoundError, String(error))
  })

  void t.test('the whole log is read in both directions and from a position', async (t) => {
    const { client } = await openWithClient(t, lib)
    await client.appendToStream('order-1', some(4))
    await client.appendToStream('order-2', some(4))

    const all = await collect(client.readAll())
    const theirs = all.filter(({ event }) => !event?.streamId.startsWith('$'))
    const backwards = await collect(client.readAll({ direction: BACKWARDS, fromPosition: END }))

    t.equal(theirs.length, 8)
    t.ok(all.length > 8, 'the bookkeeping of the ledger stands there as system events')
    t.strictSame(
      backwards.map(({ event }) => event?.id),
      all.map(({ event }) => event?.id).reverse(),
    )
    const [, second, third] = all
    if (third?.event === undefined) return t.fail('there is a third event')
    const from = { fromPosition: third.event.position, maxCount: 1 }
    const [again] = await collect(client.readAll(from))
    t.equal(again?.event?.id, third.event.id, 'forwards the position is that of the first event')
    const [before] = await collect(client.readAll({ ...from, direction: BACKWARDS }))
    t.equal(before?.event?.id, second?.event?.id, 'backwards it stands behind the first event')
  })
}

function expectingRevisions(t: Test, lib: LoadedClient): void {
  const { placed } = eventsOf(lib)
  const { ANY, NO_STREAM, STREAM_EXISTS } = lib

  void t.test(
    'the expected revision is kept, in every form and by both ways to append',
    async (t) => {
      const { grpc, client, connect, credentials } = await openWithClient(t, lib)
      // With credentials of its own a call takes the other way, Append instead of BatchAppend.
      for (const [stream, how] of Object.entries({ 'order-1': {}, 'order-2': { credentials } })) {
        const append = (expected: bigint | typeof ANY | typeof NO_STREAM | typeof STREAM_EXISTS) =>
          client.appendToStream(stream, placed(0), { ...how, ...expecting(expected) })
        const conflicts = async (
          expected: Parameters<typeof append>[0],
          actual: bigint | typeof NO_STREAM,
        ) => {
          const error = await failureOf(append(expected))
          t.ok(error instanceof lib.WrongExpectedVersionError, String(error))
          const told: unknown[] = Object.values(error as object)
          t.match(error, { streamName: stream })
          t.ok(told.includes(expected), 'it names what was expected')
          t.ok(told.includes(actual), 'and what it met')
        }

        await conflicts(STREAM_EXISTS, NO_STREAM)
        await conflicts(4n, NO_STREAM)
        await append(NO_STREAM)
        await conflicts(NO_STREAM, 0n)
        await append(0n)
        await append(ANY)
        t.match(await append(STREAM_EXISTS), { nextExpectedRevision: 3n })
        await conflicts(18_446_744_073_709_551_615n, 3n)
        t.match(
          await client.appendToStream(stream, [], { ...how, ...expecting(3n) }),
          { success: true, nextExpectedRevision: 3n },
          'an append of nothing asks only',
        )
      }
      const { address, authority, admin } = grpc
      const lenient = connect(
        `${connectionTo({ address, authority }, { name: 'administrator', token: admin })}&throwOnAppendFailure=false`,
      )
      t.match(
        await lenient.appendToStream('order-2', placed(0), {
          ...expecting(NO_STREAM),
          credentials,
        }),
        { success: false, nextExpectedRevision: 3n },
      )
    },
  )

  void t.test('an append whose deadline has passed is not begun', async (t) => {
    const { grpc, client, credentials } = await openWithClient(t, lib)
    const { some } = eventsOf(lib)
    const before = grpc.ledger.size()

    for (const how of [{}, { credentials }]) {
      const error = await failureOf(
        client.appendToStream('order-1', some(30_000), { deadline: 1, ...how }),
      )
      t.ok(error instanceof lib.DeadlineExceededError, String(error))
    }

    t.equal(grpc.ledger.size(), before)
  })

  void t.test('as many events as there may be go together, and one more do not', async (t) => {
    const { grpc, client, credentials } = await openWithClient(t, lib)
    const { some } = eventsOf(lib)
    const deadline = 60_000

    for (const how of [{ deadline }, { deadline, credentials }]) {
      const before = grpc.ledger.size()
      const error = await failureOf(client.appendToStream('order-1', some(batchEventsMax + 1), how))
      t.ok(error instanceof lib.MaxAppendSizeExceededError, String(error))
      t.match(error, { maxAppendSize: Number })
      t.equal(grpc.ledger.size(), before)
    }
    const { nextExpectedRevision } = await client.appendToStream('order-1', some(batchEventsMax), {
      deadline,
    })
    t.equal(nextExpectedRevision, BigInt(batchEventsMax - 1))
  })
}

function refusing(t: Test, lib: LoadedClient): void {
  const { placed } = eventsOf(lib)
  const isDenied = async (t: Test, promise: Promise<unknown>, what: string) => {
    const error = await failureOf(promise)
    t.ok(error instanceof lib.AccessDeniedError, `${what}: ${String(error)}`)
  }

  void t.test(
    'no call goes on without a token, with a wrong one, or without the right',
    async (t) => {
      const { grpc, connect } = await openWithClient(t, lib)
      const auditor = { name: 'grace', token: await grpc.token('grace', 'auditor') }
      const intake = { name: 'probe', token: await grpc.token('probe', 'intake') }
      const proposer = { name: 'ada', token: await grpc.token('ada', 'proposer') }
      const before = grpc.ledger.size()
      const of = (credentials: typeof proposer) => connect(connectionTo(grpc, credentials))

      const refused = {
        'no token': connect(`esdb://${grpc.address}?tls=true&tlsCAFile=${grpc.authority}`),
        'a wrong token': of({ ...proposer, token: 'fol_x' }),
        'the name of another': of({ ...proposer, name: 'grace' }),
        'a token of intake': of(intake),
      }
      for (const [what, client] of Object.entries(refused)) {
        await isDenied(t, collect(client.readAll({ maxCount: 1 })), what)
        await isDenied(t, client.appendToStream('order-1', placed(1)), what)
      }
      await isDenied(t, of(auditor).appendToStream('order-1', placed(1)), 'an auditor')
      t.equal(grpc.ledger.size(), before, 'nothing was appended')

      await of(proposer).appendToStream('order-1', placed(1))
      const [read] = await collect(of(auditor).readStream('order-1'))
      t.equal(read?.event?.type, 'order.placed')
      const stored = read?.event === undefined ? undefined : await grpc.ledger.find(read.event.id)
      t.equal(stored?.leaf.actor, 'ada', 'the actor is the name of the token')
    },
  )

  void t.test(
    'a token that is revoked ends what its client may do, in calls that last',
    async (t) => {
      const { grpc, connect } = await openWithClient(t, lib)
      const token = await grpc.token('ada', 'proposer')
      const client = connect(connectionTo(grpc, { name: 'ada', token }))
      await client.appendToStream('order-1', placed(1))

      const revoked = await grpc.send('POST', '/v1/tokens/ada/revoke', { token: grpc.admin })

      t.ok(revoked.status < 300, revoked.text)
      await isDenied(t, client.appendToStream('order-1', placed(2)), 'the revoked token')
    },
  )
}

function connecting(t: Test, lib: LoadedClient): void {
  const { placed } = eventsOf(lib)

  void t.test(
    'without credentials a call has the rights of the named token, where one is named',
    async (t) => {
      const grpc: TestGrpc = await openTestGrpc(t, {
        parts: { nameless: () => grpc.parts.identities.authenticate(grpc.admin) },
      })
      const client = lib.connect(`esdb://${grpc.address}?tls=false`)
      t.teardown(() => client.dispose())

      await client.appendToStream('order-1', placed(1))

      t.equal((await collect(client.readStream('order-1'))).length, 1)
    },
  )

  void t.test('several hosts find the one node by its gossip', async (t) => {
    const { grpc, connect } = await openWithClient(t, lib)
    const { address, authority, admin } = grpc
    const client = connect(
      `esdb://administrator:${admin}@${address},${address}?tls=true&tlsCAFile=${authority}`,
    )

    await client.appendToStream('order-1', placed(1))

    t.equal((await collect(client.readStream('order-1'))).length, 1)
  })
}
