import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { StreamMetadata } from '../../../src/contracts/stream-metadata.js'
import type { EventStore, ProofSource, StreamRead } from '../../../src/ledger/event-store.js'
import { utf8 } from '../../../src/ledger/encoding.js'
import { leafHash, verifyInclusion } from '../../../src/ledger/merkle.js'
import { nodeCrypto } from '../../../src/ledger/node-crypto.js'
import { createClientWriter } from '../../../src/ledger/writers.js'
import { collect, draft, request } from '../../support/ledger.js'

const order = { project: 'default', stream: 'order-1' } as const

/** The laws of stream metadata: what it hides is hidden from readers of the stream, and from nobody else. */
export function hidingEvents(t: Test, open: (t: Test) => Promise<EventStore & ProofSource>): void {
  const openOrders = async (t: Test, events = 5) => {
    const store = await open(t)
    await store.append(request({ events: Array.from({ length: events }, () => draft()) }))
    const set = (metadata: StreamMetadata, expected: 'any' | 'none' | number = 'any') =>
      createClientWriter(store).setStreamMetadata({
        ...order,
        expected,
        id: randomUUID(),
        actor: 'ada',
        metadata,
        user: { name: 'ada', access: ['proposer'] },
      })
    const revisions = async (read: Partial<StreamRead> = {}) =>
      (await collect(store.readStream({ ...order, ...read }))).map(({ leaf }) =>
        Number(leaf.revision),
      )
    return { store, set, revisions }
  }

  void t.test('metadata hides a beginning of its stream, in both directions', async (t) => {
    const { store, set, revisions } = await openOrders(t)

    await set({ $tb: 2 })
    t.strictSame(await revisions(), [2, 3, 4])
    t.strictSame(await revisions({ from: 1, max: 2 }), [2, 3])
    t.strictSame(await revisions({ direction: 'backwards' }), [4, 3, 2])
    t.strictSame(await revisions({ direction: 'backwards', from: 1 }), [])

    await set({ $maxCount: 1 })
    t.strictSame(await revisions(), [4])
    await store.append(request())
    t.strictSame(await revisions(), [5])

    await set({})
    t.strictSame(await revisions(), [0, 1, 2, 3, 4, 5])
  })

  void t.test('what is hidden stays on the ledger, and every proof stays valid', async (t) => {
    const { store, set, revisions } = await openOrders(t)
    const [first] = await collect(store.readLog())
    if (first === undefined) throw new Error('there is no event')

    await set({ $tb: 9_007_199_254_740_991 })

    t.strictSame(await revisions(), [])
    t.strictSame(await revisions({ hidden: true }), [0, 1, 2, 3, 4])
    t.equal(await store.lastRevision(order.project, order.stream), undefined)
    t.equal(await store.lastRevision(order.project, order.stream, true), 4)
    t.strictSame(await store.find(first.leaf.id), first)
    const log = await collect(store.readLog())
    t.strictSame(
      log.map(({ leaf }) => leaf.stream),
      [...Array.from({ length: 5 }, () => 'order-1'), '$$order-1'],
    )
    const { size, root } = await store.checkpointCovering(store.size() - 1)
    for (const { position, leafText } of log) {
      const path = await store.proveInclusion(position, size)
      const hash = leafHash(nodeCrypto.sha256, utf8(leafText))
      t.doesNotThrow(() =>
        verifyInclusion(nodeCrypto.sha256, { leafHash: hash, index: position, size, path, root }),
      )
    }
    t.equal((await store.append(request({ expected: 4 })))[0]?.revision, 5, 'numbering goes on')
  })

  void t.test(
    'metadata is set with an expected revision, and other members are kept',
    async (t) => {
      const { store, set } = await openOrders(t)
      const present = () => store.streamMetadata(order.project, order.stream)
      t.equal(await present(), undefined)

      const metadata = { $maxCount: 3, $acl: { $r: ['ops'] }, owner: 'größe' }
      await set(metadata, 'none')

      t.strictSame(await present(), { revision: 0, metadata })
      await t.rejects(set({ $tb: 1 }, 'none'), { code: 'REVISION_CONFLICT' })
      await set({ $tb: 1 }, 0)
      t.strictSame(await present(), { revision: 1, metadata: { $tb: 1 } })
    },
  )

  void t.test('metadata that is none is refused, and reserved streams have none', async (t) => {
    const { store } = await openOrders(t)
    const size = store.size()
    const refused = (data: unknown, code: string, stream = '$$order-1', type = '$metadata') =>
      t.rejects(
        store.append(
          request({ stream, events: [draft({ type, data: utf8(JSON.stringify(data)) })] }),
        ),
        { code },
      )

    for (const data of [{ $maxCount: 0 }, { $maxAge: '1' }, { $tb: -1 }, { $tb: 0.5 }, [], null])
      await refused(data, 'REQUEST_INVALID')
    await refused({ note: 'x'.repeat(65_536) }, 'EVENT_TOO_LARGE')
    await refused({}, 'REQUEST_INVALID', '$$order-1', 'order.placed')
    for (const stream of ['$$asset-web', '$$ledger-1', '$$$$order-1', '$order-1', '$$'])
      await refused({}, 'STREAM_INVALID', stream)

    t.equal(store.size(), size)
  })
}
