import type { Test } from 'tap'
import {
  type AppendRequest,
  batchEventsMax,
  type EventStore,
} from '../../../src/ledger/event-store.js'
import { utf8 } from '../../../src/ledger/encoding.js'
import { collect, draft, request } from '../../support/ledger.js'

/** The laws of the event store port for a store that is capable of `multiStreamAtomic`. */
export function appendingTogether(t: Test, open: (t: Test) => Promise<EventStore>): void {
  const pair = (fields: Partial<AppendRequest> = {}) => [
    request({ expected: 'none', events: [draft(), draft()] }),
    request({ stream: 'bill-1', expected: 'none', ...fields }),
  ]
  const openAtomic = async (t: Test) => {
    const store = await open(t)
    return store.capabilities.multiStreamAtomic ? store : undefined
  }

  void t.test('several streams are appended to together, each with its receipts', async (t) => {
    const store = await openAtomic(t)
    if (store === undefined) return

    const [orders, bills] = await store.appendTogether(pair())

    const told = (receipts: typeof orders) =>
      receipts?.map(({ stream, revision, position }) => ({ stream, revision, position }))
    t.match(told(orders), [
      { stream: 'order-1', revision: 0 },
      { stream: 'order-1', revision: 1 },
    ])
    t.match(told(bills), [{ stream: 'bill-1', revision: 0 }])
    t.equal(store.size(), 3)
    t.equal(await store.lastRevision('default', 'order-1'), 1)
    t.equal(await store.lastRevision('default', 'bill-1'), 0)
  })

  void t.test('a conflict on one stream names it and leaves all of them alone', async (t) => {
    const store = await openAtomic(t)
    if (store === undefined) return
    await store.append(request({ stream: 'bill-1' }))

    await t.rejects(store.appendTogether(pair()), {
      code: 'REVISION_CONFLICT',
      message: /bill-1/,
      details: { project: 'default', stream: 'bill-1', expected: 'none', actual: 0 },
    })
    await store.appendTogether(pair({ expected: 0 }))

    t.equal(store.size(), 4)
  })

  void t.test('a request without events only asks how its stream stands', async (t) => {
    const store = await openAtomic(t)
    if (store === undefined) return
    await store.append(request({ stream: 'bill-1' }))
    const asking = (expected: AppendRequest['expected']) =>
      store.appendTogether([
        request({ stream: 'bill-1', expected, events: [] }),
        request({ stream: 'order-1' }),
      ])

    await t.rejects(asking(4), {
      code: 'REVISION_CONFLICT',
      details: { stream: 'bill-1', expected: 4, actual: 0 },
    })
    t.equal(store.size(), 1)
    const [none, orders] = await asking(0)

    t.strictSame(none, [])
    t.equal(orders?.length, 1)
    t.equal(await store.lastRevision('default', 'bill-1'), 0)
  })

  void t.test('events of streams that take turns stand in the order of the requests', async (t) => {
    const store = await openAtomic(t)
    if (store === undefined) return
    const streams = ['order-1', 'bill-1', 'order-1', 'bill-1', 'order-1']

    const receipts = await store.appendTogether(
      streams.map((stream, i) => request({ stream, expected: i < 2 ? 'none' : 'any' })),
    )

    t.strictSame(
      receipts.map(([one]) => [one?.stream, one?.revision]),
      [
        ['order-1', 0],
        ['bill-1', 0],
        ['order-1', 1],
        ['bill-1', 1],
        ['order-1', 2],
      ],
    )
    const stored = await collect(store.readLog())
    t.strictSame(
      stored.map(({ leaf }) => leaf.stream),
      streams,
    )
  })

  void t.test('together again answers the first receipts; partly known is refused', async (t) => {
    const store = await openAtomic(t)
    if (store === undefined) return
    const requests = pair()
    const [orders, bills] = requests
    const first = await store.appendTogether(requests)

    const again = await store.appendTogether(requests)
    t.strictSame(
      again,
      first.map((receipts) => receipts.map((receipt) => ({ ...receipt, repeated: true }))),
    )
    const reused = (requests: readonly (AppendRequest | undefined)[]) =>
      t.rejects(store.appendTogether(requests.filter((one) => one !== undefined)), {
        code: 'EVENT_ID_REUSED',
      })
    await reused([orders, request({ stream: 'bill-2' })])
    await reused([request({ stream: 'order-2', events: orders?.events ?? [] }), bills])
    const other = bills?.events.map((event) => ({ ...event, data: utf8('other') })) ?? []
    await reused([orders, request({ stream: 'bill-1', events: other })])

    t.equal(store.size(), 3)
  })

  void t.test('what cannot be together is refused and nothing is appended', async (t) => {
    const store = await openAtomic(t)
    if (store === undefined) return
    const shared = draft()
    const many = () => Array.from({ length: batchEventsMax / 2 + 1 }, () => draft())

    await t.rejects(store.appendTogether([]), { code: 'REQUEST_INVALID' })
    await t.rejects(store.appendTogether([request(), request({ expected: 'exists' })]), {
      code: 'REQUEST_INVALID',
      fields: [{ pointer: '/requests/1/stream' }],
    })
    await t.rejects(store.appendTogether([request({ events: [] })]), {
      code: 'REQUEST_INVALID',
      fields: [{ pointer: '/events' }],
    })
    await t.rejects(store.appendTogether(pair({ stream: '$all' })), { code: 'STREAM_INVALID' })
    await t.rejects(
      store.appendTogether([
        request({ events: [shared] }),
        request({ stream: 'bill-1', events: [shared] }),
      ]),
      { code: 'EVENT_ID_REUSED' },
    )
    await t.rejects(
      store.appendTogether([
        request({ events: many() }),
        request({ stream: 'bill-1', events: many() }),
      ]),
      { code: 'EVENT_TOO_LARGE' },
    )

    t.equal(store.size(), 0)
  })

  void t.test('of concurrent appends over overlapping streams whole ones win', async (t) => {
    const store = await openAtomic(t)
    if (store === undefined) return
    const streams = ['order-1', 'order-2', 'order-3']

    const results = await Promise.allSettled(
      streams.flatMap((stream, i) => [
        store.appendTogether([
          request({ stream, expected: 'none' }),
          request({ stream: streams[(i + 1) % 3] ?? '', expected: 'none' }),
        ]),
        store.append(request({ stream: 'bill-1' })),
      ]),
    )

    const won = results.filter(({ status }, i) => i % 2 === 0 && status === 'fulfilled')
    t.equal(won.length, 1, 'any two of them share a stream')
    t.equal(store.size(), 3 + 2)
  })
}
