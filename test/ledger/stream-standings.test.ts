import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import type { StreamMetadata } from '../../src/contracts/stream-metadata.js'
import type { EventStore } from '../../src/ledger/event-store.js'
import { createClientWriter } from '../../src/ledger/writers.js'
import { collect, draft, openTestLedger } from '../support/ledger.js'

const place = { project: 'default', stream: 'order-1' }
const ada = { name: 'ada', access: ['proposer'] }

function writing(store: EventStore) {
  const writer = createClientWriter(store)
  return {
    append: (user = ada, together = false): Promise<unknown> => {
      const append = { ...place, expected: 'any' as const, events: [draft()], user }
      return together
        ? writer.appendClientTogether([append, { ...append, stream: 'bill-1', events: [draft()] }])
        : writer.appendClient(append)
    },
    set: (metadata: StreamMetadata, user = ada) =>
      writer.setStreamMetadata({
        ...place,
        expected: 'any',
        id: randomUUID(),
        actor: user.name,
        metadata,
        user,
      }),
  }
}

/** What may be under way when a stream is ended, in the order in which it is asked for. */
const asked = fc.array(fc.constantFrom('append', 'together', 'end', 'pause', 'name'), {
  minLength: 2,
  maxLength: 24,
})

t.test('no append lands behind the end of its stream, however they are under way', async (t) => {
  await fc.assert(
    fc.asyncProperty(asked, async (steps) => {
      const { ledger } = await openTestLedger(t)
      const { append, set } = writing(ledger)
      const running: Promise<unknown>[] = []
      for (const step of steps) {
        if (step === 'append') running.push(append())
        else if (step === 'together') running.push(append(ada, true))
        else if (step === 'end') running.push(set({ $tombstoned: true, $tb: 9_999 }))
        else if (step === 'name') running.push(set({ colour: 'red' }))
        else await Promise.allSettled(running.slice(-1))
      }
      const outcomes = await Promise.allSettled(running)

      for (const outcome of outcomes)
        if (outcome.status === 'rejected')
          t.match(outcome.reason, { code: 'STREAM_DELETED' }, 'nothing else is refused')
      let ended = false
      for await (const { leaf, data } of ledger.readLog()) {
        if (leaf.stream === '$$order-1')
          ended ||= Buffer.from(data?.bytes ?? []).includes('$tombstoned')
        else if (ended) t.not(leaf.stream, 'order-1', 'an event behind the end')
      }
      await ledger.close()
    }),
    { numRuns: 40 },
  )
})

t.test(
  'an access list counts for what is asked for after it, and for nobody it names',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    const { append, set } = writing(ledger)
    const bob = { name: 'bob', access: ['proposer'] }
    const root = { name: 'administrator', access: ['administrator'] }
    const denied = { code: 'ACCESS_DENIED' }

    const before = append(bob)
    const setting = set({ $acl: { $w: ['ada'], $mw: '$admins' } })
    const after = append(bob)

    await Promise.all([before, setting])
    await t.rejects(after, denied)
    await t.rejects(append(bob, true), denied, 'nor with other streams')
    await append(ada)
    await append(root)
    await t.rejects(set({}), denied, 'who may append need not change the metadata')
    await set({ $acl: { $w: '$all' } }, root)
    await append(bob)
    t.equal((await collect(ledger.readStream(place))).length, 4)
  },
)
