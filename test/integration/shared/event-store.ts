import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { Delivery, EventStore, ProofSource } from '../../../src/ledger/event-store.js'
import { utf8 } from '../../../src/ledger/encoding.js'
import { leafHash, verifyConsistency, verifyInclusion } from '../../../src/ledger/merkle.js'
import { nodeCrypto } from '../../../src/ledger/node-crypto.js'
import { collect, draft, request } from '../../support/ledger.js'
import { appendingTogether } from './atomic-append.js'
import { hidingEvents } from './stream-metadata.js'

export type Subject = EventStore & ProofSource

/**
 * The laws of the event store port. `open` gives an empty store that is closed after the test it
 * was opened for. Every adapter runs this against its real server.
 */
export function eventStoreConformance(t: Test, open: (t: Test) => Promise<Subject>): void {
  appending(t, open)
  idempotency(t, open)
  appendingTogether(t, open)
  reading(t, open)
  hidingEvents(t, open)
  subscribing(t, open)
  proving(t, open)
}

type Open = (t: Test) => Promise<Subject>

function appending(t: Test, open: Open): void {
  void t.test('an append answers dense revisions and is readable at once', async (t) => {
    const store = await open(t)

    const receipts = await store.append(request({ expected: 'none', events: [draft(), draft()] }))

    t.strictSame(
      receipts.map(({ revision, repeated, stream }) => ({ revision, repeated, stream })),
      [0, 1].map((revision) => ({ revision, repeated: false, stream: 'order-1' })),
    )
    t.equal(await store.lastRevision('default', 'order-1'), 1)
    if (store.capabilities.sequencedOnAppend)
      t.strictSame(
        receipts.map((r) => r.position),
        [0, 1],
      )
  })

  void t.test('the expected revision is kept, and a conflict names the actual one', async (t) => {
    const store = await open(t)
    const conflict = (actual: number | null) => ({ code: 'REVISION_CONFLICT', details: { actual } })

    await t.rejects(store.append(request({ expected: 'exists' })), conflict(null))
    await t.rejects(store.append(request({ expected: 0 })), conflict(null))
    await store.append(request({ expected: 'none' }))
    await t.rejects(store.append(request({ expected: 'none' })), conflict(0))
    await t.rejects(store.append(request({ expected: 1 })), conflict(0))
    await store.append(request({ expected: 0 }))
    await store.append(request({ expected: 'exists' }))

    t.equal(await store.lastRevision('default', 'order-1'), 2)
  })

  void t.test('of concurrent writers that expect the same revision exactly one wins', async (t) => {
    const store = await open(t)

    const results = await Promise.allSettled(
      Array.from({ length: 16 }, () => store.append(request({ expected: 'none' }))),
    )

    t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    t.equal(await store.lastRevision('default', 'order-1'), 0)
  })

  void t.test('streams of two projects with one name are two streams', async (t) => {
    const store = await open(t)

    await store.append(request({ expected: 'none' }))
    await store.append(request({ project: 'other', expected: 'none' }))

    t.equal(store.size(), 2)
  })

  void t.test('what is malformed or too large is refused and nothing is appended', async (t) => {
    const store = await open(t)
    const refused = (fields: Parameters<typeof request>[0], code: string) =>
      t.rejects(store.append(request(fields)), { code })

    await refused({ stream: '$all' }, 'STREAM_INVALID')
    await refused({ stream: 'asset' }, 'STREAM_INVALID')
    await refused({ stream: '' }, 'STREAM_INVALID')
    await refused({ stream: 'asset-white space' }, 'STREAM_INVALID')
    await refused({ project: 'Upper' }, 'STREAM_INVALID')
    await refused({ events: [] }, 'REQUEST_INVALID')
    await refused({ events: [draft({ id: randomUUID().toUpperCase() })] }, 'REQUEST_INVALID')
    await refused({ events: [draft({ type: 'a\nb' })] }, 'REQUEST_INVALID')
    await refused({ events: [draft({ metadata: new Uint8Array(65_537) })] }, 'EVENT_TOO_LARGE')
    await refused(
      { events: [draft({ data: new Uint8Array(16 * 1024 * 1024 + 1) })] },
      'EVENT_TOO_LARGE',
    )

    t.equal(store.size(), 0)
  })
}

function idempotency(t: Test, open: Open): void {
  void t.test(
    'the same event again is answered by its first receipt, whatever revision is expected',
    async (t) => {
      const store = await open(t)
      const events = [draft(), draft()]
      const first = await store.append(request({ expected: 'none', events }))

      const later = events.map((event) => ({
        ...event,
        actor: 'grace',
        metadata: utf8('{"source":"x"}'),
      }))
      const second = await store.append(request({ expected: 'none', events: later }))

      t.strictSame(
        second,
        first.map((receipt) => ({ ...receipt, repeated: true })),
      )
      t.equal(store.size(), 2)
    },
  )

  void t.test(
    'an id cannot be reused for another stream, type, content type or other data',
    async (t) => {
      const store = await open(t)
      const event = draft()
      await store.append(request({ events: [event] }))
      const reused = (fields: Parameters<typeof request>[0]) =>
        t.rejects(store.append(request(fields)), { code: 'EVENT_ID_REUSED' })

      await reused({ stream: 'order-2', events: [event] })
      await reused({ project: 'other', events: [event] })
      await reused({ events: [{ ...event, type: 'order.paid' }] })
      await reused({ events: [{ ...event, contentType: 'text/plain' }] })
      await reused({ events: [{ ...event, data: utf8('{"amount":2}') }] })
      await reused({ events: [event, draft()] })
      await reused({
        stream: 'order-3',
        events: [draft({ id: event.id }), draft({ id: event.id })],
      })

      t.equal(store.size(), 1)
    },
  )

  void t.test(
    'concurrent appends of one event store it once and agree on its receipt',
    async (t) => {
      const store = await open(t)
      const event = draft()

      const answers = await Promise.all(
        Array.from({ length: 16 }, () =>
          store.append(request({ expected: 'none', events: [event] })),
        ),
      )

      t.equal(store.size(), 1)
      t.equal(answers.flat().filter(({ repeated }) => !repeated).length, 1)
      t.equal(
        new Set(answers.flat().map(({ revision, cursor }) => `${revision} ${cursor}`)).size,
        1,
      )
    },
  )
}

function reading(t: Test, open: Open): void {
  void t.test('find answers the event as it was appended, with its leaf', async (t) => {
    const store = await open(t)
    const event = draft({ data: Uint8Array.of(0, 255, 128), metadata: utf8('{"source":"x"}') })
    await store.append(request({ events: [event] }))

    const found = await store.find(event.id)

    t.strictSame([...(found?.data?.bytes ?? [])], [...event.data])
    t.strictSame([...(found?.metadata?.bytes ?? [])], [...event.metadata])
    t.match(found?.leaf, {
      id: event.id,
      actor: 'ada',
      revision: '0',
      type_seq: '0',
      prev: null,
      writer: 'client',
    })
    t.strictSame(
      Buffer.from(found?.leafHash ?? []),
      Buffer.from(leafHash(nodeCrypto.sha256, utf8(found?.leafText ?? ''))),
    )
    t.equal(await store.find(randomUUID()), undefined)
  })

  void t.test(
    'streams and log are read both ways, from a place, up to a number, by filter',
    async (t) => {
      const store = await open(t)
      for (const [stream, type] of [
        ['order-1', 'a.b'],
        ['order-2', 'a.c'],
        ['order-1', 'a.c'],
        ['bill-1', 'a.b'],
      ] as const) {
        await store.append(request({ stream, events: [draft({ type })] }))
      }
      const revisions = async (options: object) =>
        (
          await collect(store.readStream({ project: 'default', stream: 'order-1', ...options }))
        ).map(({ leaf }) => leaf.revision)
      const positions = async (options: object) =>
        (await collect(store.readLog(options))).map(({ position }) => position)

      t.strictSame(await revisions({}), ['0', '1'])
      t.strictSame(await revisions({ from: 1 }), ['1'])
      t.strictSame(await revisions({ direction: 'backwards' }), ['1', '0'])
      t.strictSame(await revisions({ direction: 'backwards', max: 1 }), ['1'])
      t.strictSame(await revisions({ stream: 'order-9' }), [])
      t.strictSame(await positions({}), [0, 1, 2, 3])
      t.strictSame(await positions({ from: 1, max: 2 }), [1, 2])
      t.strictSame(await positions({ direction: 'backwards', from: 2 }), [2, 1, 0])
      t.strictSame(await positions({ max: 0 }), [])
      t.strictSame(await positions({ filter: { streamPrefixes: ['order-'] } }), [0, 1, 2])
      t.strictSame(await positions({ filter: { types: ['a.b'] } }), [0, 3])
      t.strictSame(
        await positions({
          filter: { streamPrefixes: ['order-'], types: ['a.c'] },
          direction: 'backwards',
          max: 1,
        }),
        [2],
      )
      t.strictSame(await positions({ filter: { project: 'other' } }), [])
    },
  )

  void t.test(
    'prev chains each stream, type_seq counts each type, time never decreases',
    async (t) => {
      const store = await open(t)
      await Promise.all(
        Array.from({ length: 64 }, (_, i) =>
          store.append(
            request({ stream: `order-${i % 5}`, events: [draft({ type: `a.t${i % 3}` })] }),
          ),
        ),
      )

      const heads = new Map<string, string>()
      const counts = new Map<string, number>()
      let time = ''
      for (const { leaf, leafHash: own } of await collect(store.readLog())) {
        t.equal(leaf.prev, heads.get(leaf.stream) ?? null)
        t.equal(leaf.type_seq, String(counts.get(leaf.type) ?? 0))
        t.ok(leaf.time >= time)
        heads.set(leaf.stream, Buffer.from(own).toString('hex'))
        counts.set(leaf.type, (counts.get(leaf.type) ?? 0) + 1)
        time = leaf.time
      }
    },
  )
}

function subscribing(t: Test, open: Open): void {
  void t.test(
    'a subscription catches up, says so, and goes on live until it is ended',
    async (t) => {
      const store = await open(t)
      await store.append(request({ events: [draft(), draft()] }))
      const stop = new AbortController()
      const seen: (number | string)[] = []
      const told = (delivery: Delivery) =>
        delivery.kind === 'event' ? delivery.event.position : `caught-up ${delivery.position}`

      for await (const delivery of store.subscribe({ from: 1, signal: stop.signal })) {
        seen.push(told(delivery))
        if (seen.length === 2) await store.append(request())
        if (seen.length === 4) stop.abort()
      }

      t.strictSame(seen, [1, 'caught-up 2', 2, 'caught-up 3'])
    },
  )

  void t.test('a filtered subscription skips the rest but tells how far it is', async (t) => {
    const store = await open(t)
    const stop = new AbortController()
    const seen: string[] = []

    for await (const delivery of store.subscribe({
      from: 0,
      filter: { streamPrefixes: ['bill-'] },
      signal: stop.signal,
    })) {
      seen.push(
        delivery.kind === 'event' ? delivery.event.leaf.stream : `caught-up ${delivery.position}`,
      )
      if (seen.length === 1) await store.append(request())
      if (seen.length === 2) await store.append(request({ stream: 'bill-1' }))
      if (seen.length === 4) stop.abort()
    }

    t.strictSame(seen, ['caught-up 0', 'caught-up 1', 'bill-1', 'caught-up 2'])
  })

  void t.test('subscribers beside writers see every event once and in order', async (t) => {
    const store = await open(t)
    const total = 300
    const follow = async (from: number) => {
      const stop = new AbortController()
      const positions: number[] = []
      for await (const delivery of store.subscribe({ from, signal: stop.signal })) {
        if (delivery.kind === 'event') positions.push(delivery.event.position)
        else if (delivery.position === total) stop.abort()
      }
      return positions
    }

    const [, whole, half] = await Promise.all([
      Promise.all(
        Array.from({ length: total }, (_, i) => store.append(request({ stream: `order-${i}` }))),
      ),
      follow(0),
      follow(total / 2),
    ])

    t.strictSame(
      whole,
      Array.from({ length: total }, (_, i) => i),
    )
    t.strictSame(half, whole.slice(total / 2))
  })
}

function proving(t: Test, open: Open): void {
  void t.test(
    'every event is included in a checkpoint, and later checkpoints extend earlier ones',
    async (t) => {
      const store = await open(t)
      const { sha256 } = nodeCrypto
      await Promise.all(
        Array.from({ length: 37 }, (_, i) => store.append(request({ stream: `order-${i}` }))),
      )
      const first = await store.checkpointCovering(36)
      await store.append(request())
      const second = await store.checkpointCovering(37)

      for (const event of await collect(store.readLog({ max: first.size }))) {
        const path = await store.proveInclusion(event.position, first.size)
        verifyInclusion(sha256, {
          leafHash: event.leafHash,
          index: event.position,
          size: first.size,
          path,
          root: first.root,
        })
      }
      const path = await store.proveConsistency(first.size, second.size)
      verifyConsistency(sha256, {
        from: first.size,
        to: second.size,
        fromRoot: first.root,
        toRoot: second.root,
        path,
      })

      t.strictSame(
        (await collect(store.checkpointsAfter(37))).map(({ size }) => size),
        [38],
      )
      t.equal(store.checkpoint().origin, store.origin)
      await t.rejects(store.proveInclusion(38, 38), { code: 'TREE_RANGE' })
      await t.rejects(store.proveInclusion(0, 39), { code: 'TREE_RANGE' })
      await t.rejects(store.proveConsistency(38, 39), { code: 'TREE_RANGE' })
      await t.rejects(store.checkpointCovering(38), { code: 'TREE_RANGE' })
    },
  )
}
