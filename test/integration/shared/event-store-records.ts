import type { Test } from 'tap'
import { connectionTo, failureOf, openTestGrpc } from '../../support/grpc.js'
import { collect } from '../../support/ledger.js'

type Kurrent = typeof import('@kurrent/kurrentdb-client')
type KurrentClient = ReturnType<Kurrent['KurrentDBClient']['connectionString']>
type Records = Parameters<KurrentClient['appendRecords']>[0]
type State = NonNullable<Parameters<KurrentClient['appendRecords']>[1]>[number]['expectedState']

async function openRecords(t: Test, kurrent: Kurrent) {
  const grpc = await openTestGrpc(t)
  const connect = (name: string, token: string) => {
    const client = kurrent.KurrentDBClient.connectionString(connectionTo(grpc, { name, token }))
    t.teardown(() => client.dispose())
    return client
  }
  return { grpc, connect, client: connect('administrator', grpc.admin) }
}

/** Appending to several streams together, as the newer official client alone does. */
export function recordsOfClient(t: Test, kurrent: Kurrent): void {
  recording(t, kurrent)
  checking(t, kurrent)
  inSessions(t, kurrent)
}

const recordIn = (kurrent: Kurrent) => (streamName: string, n: number) => ({
  streamName,
  record: kurrent.jsonEvent({ type: 'order.placed', data: { n }, metadata: { who: 'ada' } }),
})

function recording(t: Test, kurrent: Kurrent): void {
  const record = recordIn(kurrent)

  void t.test('records of several streams stand together, in their order', async (t) => {
    const { grpc, client } = await openRecords(t, kurrent)
    const streams = ['order-1', 'bill-1', 'order-1', 'bill-1', 'order-1']
    const sent = streams.map(record) as Records

    const answer = await client.appendRecords(sent)

    t.strictSame(
      answer.responses.map(({ streamName, revision }) => [streamName, revision]),
      [
        ['order-1', 2n],
        ['bill-1', 1n],
      ],
    )
    const all = (await collect(client.readAll())).slice(-5)
    t.strictSame(
      all.map(({ event }) => [event?.streamId, event?.id]),
      sent.map(({ streamName, record }) => [streamName, record.id]),
    )
    t.equal(all.at(-1)?.event?.position?.commit, answer.position)
    t.strictSame(all[0]?.event?.metadata, {
      who: 'ada',
      '$schema.name': 'order.placed',
      '$schema.format': 'Json',
    })
    const stored = await grpc.ledger.find(sent[0]?.record.id ?? '')
    t.match(stored?.leaf, { writer: 'client', actor: 'administrator' })
    t.strictSame(await client.appendRecords(sent), answer, 'again is answered as the first time')
    t.equal((await collect(client.readStream('order-1'))).length, 3)
  })

  void t.test('what a client may not append it may not append together either', async (t) => {
    const { grpc, client } = await openRecords(t, kurrent)
    await client.tombstoneStream('ended')
    const before = grpc.ledger.size()
    const typed = (type: string) => ({
      streamName: 'order-1',
      record: kurrent.jsonEvent({ type, data: {} }),
    })
    const big = kurrent.binaryEvent({ type: 'big', data: Buffer.alloc(16 * 1024 * 1024 + 1) })
    const refused: readonly unknown[][] = [
      [record('order-1', 1), record('asset-web', 1)],
      [record('order-1', 1), record('ended', 1)],
      [record('order-1', 1), record('$all', 1)],
      [typed('asset.mutated')],
      [record('bill-1', 1), typed('evidence.recorded')],
      [{ streamName: 'order-1', record: { ...record('order-1', 1).record, id: 'no uuid' } }],
      [{ streamName: 'order-1', record: big }],
      [],
    ]

    for (const records_ of refused) await failureOf(client.appendRecords(records_ as Records))

    t.equal(grpc.ledger.size(), before)
  })
}

function checking(t: Test, kurrent: Kurrent): void {
  const record = recordIn(kurrent)
  const placed = (n: number) => kurrent.jsonEvent({ type: 'order.placed', data: { n } })
  const some = (count: number) => Array.from({ length: count }, (_, n) => placed(n))
  const { NO_STREAM, STREAM_EXISTS } = kurrent
  const check = (streamName: string, expectedState: State) => ({
    type: 'stream_state' as const,
    streamName,
    expectedState,
  })
  const violations = async (t: Test, promise: Promise<unknown>) => {
    const error = await failureOf(promise)
    if (!(error instanceof kurrent.AppendConsistencyViolationError)) {
      t.fail(String(error))
      return []
    }
    return error.violations.map(({ checkIndex, streamName }) => [checkIndex, streamName])
  }

  void t.test('every check that does not hold is told, and nothing is appended', async (t) => {
    const { grpc, client } = await openRecords(t, kurrent)
    await client.appendToStream('there', some(3))
    await client.appendToStream('deleted', some(3))
    await client.deleteStream('deleted')
    await client.tombstoneStream('ended')
    const before = grpc.ledger.size()

    const told = await violations(
      t,
      client.appendRecords([record('order-1', 1)] as Records, [
        check('there', 2n),
        check('there', 1n),
        check('there', NO_STREAM),
        check('deleted', STREAM_EXISTS),
        check('deleted', NO_STREAM),
        check('ended', 0n),
        check('ended', NO_STREAM),
        check('nowhere', STREAM_EXISTS),
      ]),
    )

    t.strictSame(told, [
      [1, 'there'],
      [2, 'there'],
      [3, 'deleted'],
      [5, 'ended'],
      [7, 'nowhere'],
    ])
    t.equal(grpc.ledger.size(), before)
  })

  void t.test('where all checks hold, it is appended; a deleted stream begins again', async (t) => {
    const { client } = await openRecords(t, kurrent)
    await client.appendToStream('there', some(3))
    await client.appendToStream('order-1', some(3))
    await client.deleteStream('order-1')
    await client.tombstoneStream('ended')

    const answer = await client.appendRecords([record('order-1', 1)] as Records, [
      check('there', 2n),
      check('there', STREAM_EXISTS),
      check('nowhere', NO_STREAM),
      check('ended', NO_STREAM),
      check('order-1', NO_STREAM),
    ])

    t.strictSame(
      answer.responses.map(({ streamName, revision }) => [streamName, revision]),
      [['order-1', 3n]],
    )
  })

  void t.test('of many who expect the same of a stream one wins, and is told so', async (t) => {
    const { client } = await openRecords(t, kurrent)
    await client.appendToStream('lock', some(1))
    const attempts = Array.from({ length: 8 }, (_, n) =>
      client.appendRecords([record('lock', n), record(`order-${n}`, n)] as Records, [
        check('lock', 0n),
      ]),
    )

    const outcomes = await Promise.allSettled(attempts)

    t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected')
        t.ok(outcome.reason instanceof kurrent.AppendConsistencyViolationError)
    t.equal((await collect(client.readStream('lock'))).length, 2)
  })

  void t.test('who may not read a stream may not ask how it stands', async (t) => {
    const { grpc, client, connect } = await openRecords(t, kurrent)
    await client.appendToStream('secret', some(1))
    await client.setStreamMetadata('secret', { acl: { readRoles: ['bob'] } })
    const token = await grpc.token('ada', 'proposer')
    const ada = connect('ada', token)

    const error = await failureOf(
      ada.appendRecords([record('order-1', 1)] as Records, [check('secret', NO_STREAM)]),
    )

    t.ok(error instanceof kurrent.AccessDeniedError, String(error))
  })
}

function inSessions(t: Test, kurrent: Kurrent): void {
  const placed = (n: number) => kurrent.jsonEvent({ type: 'order.placed', data: { n } })
  const some = (count: number) => Array.from({ length: count }, (_, n) => placed(n))
  const { ANY, NO_STREAM } = kurrent

  void t.test('a session appends to all of its streams, or to none', async (t) => {
    const { client } = await openRecords(t, kurrent)
    const append = (streamName: string, expectedState: typeof ANY | typeof NO_STREAM | bigint) => ({
      streamName,
      expectedState,
      events: some(2),
    })

    const answer = await client.multiStreamAppend([
      append('order-1', NO_STREAM),
      append('bill-1', ANY),
    ])

    t.strictSame(
      answer.responses.map(({ streamName, revision }) => [streamName, revision]),
      [
        ['order-1', 1n],
        ['bill-1', 1n],
      ],
    )
    const conflict = await failureOf(
      client.multiStreamAppend([append('bill-1', ANY), append('order-1', NO_STREAM)]),
    )
    t.ok(conflict instanceof kurrent.WrongExpectedVersionError, String(conflict))
    t.match(conflict, { streamName: 'order-1', expectedState: NO_STREAM, actualState: 1n })
    await client.tombstoneStream('ended')
    const ended = await failureOf(client.multiStreamAppend([append('ended', ANY)]))
    t.ok(ended instanceof kurrent.StreamTombstonedError, String(ended))
    const twice = await failureOf(
      client.multiStreamAppend([append('bill-2', ANY), append('bill-2', ANY)]),
    )
    t.ok(twice instanceof Error)
    t.equal((await collect(client.readStream('bill-1'))).length, 2)
    await client.appendToStream('bill-1', placed(9), { streamState: 1n })
  })
}
