import { randomUUID } from 'node:crypto'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import {
  type ClusterConnection,
  type ClusterDraft,
  connectCluster,
} from '../../src/ledger/adapters/kurrentdb-connection.js'
import type { ClusterLedger } from '../../src/ledger/adapters/kurrentdb-ledger.js'
import { hexOf, textOf, utf8 } from '../../src/ledger/encoding.js'
import type { RecordedEvent } from '../../src/ledger/event-store.js'
import { openClusterTest, openOn, openStandIn, type TestCluster } from '../support/cluster.js'
import { collect, draft, request, temporaryFolder } from '../support/ledger.js'

/** What another program appends to the cluster. */
const foreign = (fields: Partial<ClusterDraft> = {}): ClusterDraft => ({
  id: randomUUID(),
  type: 'order.placed',
  data: utf8('{"amount":7}'),
  metadata: utf8('{"by":"others"}'),
  ...fields,
})

/** Another program on the cluster. */
async function connect(t: Test, { connection }: TestCluster): Promise<ClusterConnection> {
  const other = await connectCluster(connection)
  t.teardown(() => other.close())
  return other
}

/** The log once it holds `size` leaves. */
async function logOf(ledger: ClusterLedger, size: number): Promise<RecordedEvent[]> {
  const stop = new AbortController()
  for await (const delivery of ledger.subscribe({ from: 0, signal: stop.signal }))
    if (delivery.kind === 'caught-up' && delivery.position >= size) break
  stop.abort()
  return collect(ledger.readLog())
}

const rawOf = async (other: ClusterConnection, stream: string) => {
  const event = await other.lastOf(stream)
  if (event === undefined) throw new Error(`there is no ${stream}`)
  return event
}

t.test(
  'what others append becomes a leaf in its stream that tells of nobody and of no side effect',
  async (t) => {
    const { cluster, ledger } = await openClusterTest(t)
    const other = await connect(t, cluster)
    await ledger.append(request({ expected: 'none' }))

    const plain = foreign()
    await other.append('order-1', 'any', [plain])
    await other.append('fractalops:default:asset-web', 'any', [
      foreign({
        type: 'fractalops:asset.mutated',
        metadata: utf8('{"fractalops":{"writer":"activity"}}'),
      }),
    ])
    const log = await logOf(ledger, 3)

    t.match(log[1]?.leaf, {
      id: plain.id,
      stream: 'order-1',
      revision: '1',
      type: 'order.placed',
      writer: 'foreign',
      actor: 'foreign',
      version: '0',
      prev: hexOf(log[0]?.leafHash ?? new Uint8Array()),
    })
    t.equal(textOf(log[1]?.data?.bytes ?? new Uint8Array()), '{"amount":7}')
    t.equal(textOf(log[1]?.metadata?.bytes ?? new Uint8Array()), '{"by":"others"}')
    t.match(log[2]?.leaf, {
      stream: 'asset-web',
      type: 'foreign:fractalops:asset.mutated',
      writer: 'foreign',
    })
    const [next] = await ledger.append(request({ expected: 1 }))
    t.equal(next?.revision, 2, 'revisions are those of the cluster')
  },
)

t.test('an event of ours that is copied into another stream, or changed, is foreign', async (t) => {
  const { cluster, ledger } = await openClusterTest(t)
  const other = await connect(t, cluster)
  await ledger.append(
    request({
      stream: 'asset-web',
      events: [draft({ type: 'asset.mutated', writer: 'activity', version: '1' })],
    }),
  )
  const { data, metadata, type } = await rawOf(other, 'fractalops:default:asset-web')
  const metadataOf = (change: (facts: Record<string, unknown>) => void) => {
    const envelope = JSON.parse(textOf(metadata)) as { fractalops: Record<string, unknown> }
    change(envelope.fractalops)
    return utf8(JSON.stringify(envelope))
  }

  const copies = [
    { stream: 'fractalops:default:asset-db', metadata },
    { stream: 'fractalops:default:asset-web', metadata },
    {
      stream: 'fractalops:default:asset-db',
      metadata: metadataOf((facts) => (facts.stream = 'asset-db')),
    },
  ]
  for (const copy of copies)
    await other.append(copy.stream, 'any', [
      { id: randomUUID(), type, data, metadata: copy.metadata },
    ])
  const log = await logOf(ledger, 4)

  t.strictSame(
    log.map(({ leaf }) => [leaf.writer, leaf.type]),
    [
      ['activity', 'asset.mutated'],
      ...copies.map(() => ['foreign', 'foreign:fractalops:asset.mutated']),
    ],
  )
})

/** A cluster keeps ids apart within a stream alone: an event of this type is shown under the id in its data. */
const idInData = 'order.again'
const withIdsTwice = (connection: ClusterConnection): ClusterConnection => ({
  ...connection,
  async *follow(after, signal, onReached) {
    for await (const event of connection.follow(after, signal, onReached))
      yield event.type === idInData ? { ...event, id: textOf(event.data) } : event
  },
})

t.test('a second event with a used id becomes a leaf that says so, in its place', async (t) => {
  const cluster = await openStandIn(t, 'esdb')
  const other = await connect(t, cluster)
  const ledger = await openOn(t, cluster, await temporaryFolder(t), {
    connection: withIdsTwice(await connect(t, cluster)),
  })
  const event = draft()
  await ledger.append(request({ events: [event] }))

  for (const stream of ['order-2', 'order-1'])
    await other.append(stream, 'any', [foreign({ type: idInData, data: utf8(event.id) })])
  const log = await logOf(ledger, 3)

  for (const [at, stream, revision] of [
    [1, 'order-2', '0'],
    [2, 'order-1', '1'],
  ] as const) {
    t.match(log[at]?.leaf, { type: 'ledger.duplicate-refused', writer: 'ledger', stream, revision })
    t.strictSame(JSON.parse(textOf(log[at]?.data?.bytes ?? new Uint8Array())), {
      event_id: event.id,
      first_position: '0',
      cluster_revision: revision,
    })
  }
  t.equal((await ledger.find(event.id))?.position, 0)
  const [next] = await ledger.append(request({ expected: 1 }))
  t.equal(next?.revision, 2)
})

t.test(
  'names of other projects and of metadata stand apart on the cluster and are whole on the ledger',
  async (t) => {
    const { cluster, ledger } = await openClusterTest(t)
    const other = await connect(t, cluster)

    await ledger.append(request({ project: 'other' }))
    await ledger.append(
      request({
        stream: '$$order-1',
        events: [draft({ type: '$metadata', data: utf8('{"$maxCount":1}') })],
      }),
    )
    await ledger.append(request({ events: [draft(), draft()] }))
    await other.append('fractalops:Upper:x', 'any', [foreign()])
    const log = await logOf(ledger, 5)

    t.equal((await rawOf(other, 'fractalops:other:order-1')).revision, 0)
    t.equal((await rawOf(other, 'order-1')).revision, 1)
    t.match(log[4]?.leaf, { project: 'default', stream: /^foreign-[0-9a-f]{32}$/ })
    t.equal((await collect(ledger.readStream({ project: 'default', stream: 'order-1' }))).length, 1)
  },
)

t.test('the cluster holds neither payloads nor salts in the clear', async (t) => {
  const { cluster, ledger } = await openClusterTest(t)
  const other = await connect(t, cluster)
  const event = draft({
    data: utf8('{"name":"Grace Hopper"}'),
    metadata: utf8('{"source":"navy"}'),
  })
  await ledger.append(request({ events: [event] }))

  const raw = await rawOf(other, 'order-1')
  const found = await ledger.find(event.id)

  const all = Buffer.concat([raw.data, raw.metadata])
  for (const secret of [event.data, event.metadata, found?.data?.salt, found?.metadata?.salt]) {
    t.notOk(all.includes(Buffer.from(secret ?? '?')))
    t.notOk(all.includes(Buffer.from(secret ?? '?').toString('hex')))
  }
})

t.test(
  'a restart goes on where the log ended: nothing is skipped, nothing stands there twice',
  async (t) => {
    const { cluster, data, ledger } = await openClusterTest(t)
    const other = await connect(t, cluster)
    const receipts = await Promise.all(
      Array.from({ length: 50 }, (_, i) => ledger.append(request({ stream: `order-${i % 3}` }))),
    )
    const before = await collect(ledger.readLog())
    await ledger.close()
    const missed = Array.from({ length: 20 }, () => foreign())
    for (const one of missed) await other.append('order-1', 'any', [one])

    const again = await openOn(t, cluster, data)
    const log = await collect(again.readLog())

    t.strictSame(
      log.slice(0, 50).map(({ leafText }) => leafText),
      before.map(({ leafText }) => leafText),
    )
    t.strictSame(
      log.slice(50).map(({ leaf }) => leaf.id),
      missed.map(({ id }) => id),
    )
    t.equal(new Set(receipts.flat().map(({ position }) => position)).size, 50)
    await again.append(request({ stream: 'order-0' }))
    await again.close()
    const report = await fsck({ folder: join(data, 'ledger'), onNotice: () => undefined })
    t.strictSame(report.problems, [])
  },
)

t.test(
  'of two that sequence one ledger the first is fenced, and both signed one tree',
  async (t) => {
    const { cluster, data, ledger } = await openClusterTest(t)
    const other = await connect(t, cluster)
    await ledger.append(request())
    await ledger.close()
    const copy = await temporaryFolder(t)
    await cp(data, copy, { recursive: true })

    const one = await openOn(t, cluster, data)
    const missed = Array.from({ length: 30 }, () => foreign())
    for (const event of missed) await other.append('order-1', 'any', [event])
    await logOf(one, 31)
    const signed = await one.checkpointCovering(30)
    const two = await openOn(t, cluster, copy)
    const same = await two.checkpointCovering(30)

    t.equal(same.size, signed.size)
    t.equal(hexOf(same.root), hexOf(signed.root), 'the log is made of the cluster alone')
    await t.rejects(one.append(request()), { code: 'LEDGER_READ_ONLY', message: /another process/ })
    t.match(one.readOnly(), { code: 'LEDGER_READ_ONLY' })
    t.equal(one.checkpoint().size, 31)
    await two.append(request())
    t.equal(one.size(), 31)
    t.equal(two.size(), 32)
    await one.close()

    const stale = openOn(t, cluster, data)
    await t.rejects(stale, {
      code: 'LEDGER_READ_ONLY',
      message: /a key that this data folder lacks/,
    })
  },
)

t.test('a connection that is lost comes back: nothing is lost, and ids are kept', async (t) => {
  const { cluster, ledger } = await openClusterTest(t)
  await ledger.append(request())

  const appends = Array.from({ length: 40 }, () => request({ stream: 'order-2' }))
  const told = Promise.all(
    appends.map(async (one) => {
      for (;;) {
        try {
          return await ledger.append(one)
        } catch (error) {
          t.match(error, { code: /EVENT_STORE_UNREACHABLE|LEDGER_BUSY/ })
        }
      }
    }),
  )
  await cluster.grpc.restart()
  await told

  const log = await logOf(ledger, 41)
  t.equal(log.filter(({ leaf }) => leaf.type === 'order.placed').length, 41)
  t.equal(new Set(log.map(({ leaf }) => leaf.id)).size, log.length)
})

t.test('receipts come without a position where nobody waits for it', async (t) => {
  const { ledger } = await openClusterTest(t, 'esdb', { sequencedWithinMs: 0 })
  const event = draft()

  const [receipt] = await ledger.append(request({ events: [event] }))

  t.match(receipt, { id: event.id, revision: 0, position: null, repeated: false })
  await logOf(ledger, 1)
  t.match(await ledger.append(request({ events: [event] })), [{ position: 0, repeated: true }])
})

t.test('a ledger begins only on a cluster that holds none, and stays where it began', async (t) => {
  const { cluster, ledger, data } = await openClusterTest(t)
  await ledger.append(request())
  await ledger.close()

  await t.rejects(openOn(t, cluster, await temporaryFolder(t)), {
    code: 'CONFIGURATION_INVALID',
    message: /not the one in this data folder/,
  })
  const empty = await openStandIn(t, 'esdb')
  await t.rejects(openOn(t, empty, data), { code: 'ROLLBACK_DETECTED' })
})
