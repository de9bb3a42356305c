import fc from 'fast-check'
import t from 'tap'
import { utf8 } from '../../src/ledger/encoding.js'
import {
  createTally,
  eventBefore,
  instantText,
  type MovedEvent,
  movedMetadata,
  originIn,
} from '../../src/ledger/moved-event.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'

const event = (facts: Partial<MovedEvent> = {}): MovedEvent => ({
  id: '0192f0c1-2b3c-7def-8a9b-0123456789ab',
  stream: 'order-1',
  revision: 7n,
  type: 'order.placed',
  contentType: 'application/json',
  data: utf8('{"amount":1.0}'),
  metadata: utf8('{"who":"ada"}'),
  created: 16_094_592_000_000_017n,
  position: { commit: 4_711n, prepare: 4_700n },
  ...facts,
})

const moved = (original: MovedEvent, as: { stream?: string; id?: string } = {}): MovedEvent => {
  const { stream = original.stream, id = original.id } = as
  const metadata = movedMetadata(original, { from: 'old', stream, id })
  const position = { commit: 0n, prepare: 0n }
  return { ...original, stream, id, metadata, revision: 0n, created: 1n, position }
}

t.test('a moved event tells where it came from, in front of what its metadata said', async (t) => {
  const text = Buffer.from(moved(event()).metadata).toString()
  t.equal(
    text,
    '{"$imported":{"from":"old","position":"4711/4700","revision":"7","created":"2021-01-01T00:00:00.0000017Z"},"who":"ada"}',
  )
  t.equal(instantText(16_094_592_000_000_017n), '2021-01-01T00:00:00.0000017Z')
})

t.test('whatever its metadata, a moved event gives back exactly what it was', async () => {
  const json = fc.json().map((text) => utf8(text))
  const spaced = fc.jsonValue().map((value) => utf8(JSON.stringify({ a: value }, null, 2)))
  const metadata = fc.oneof(
    json,
    spaced,
    fc.uint8Array({ maxLength: 64 }),
    fc
      .constantFrom('', '{}', '{ }', '{"a":1,"a":2}', '\ufeff{}', '[{}]', '{"$imported":1}')
      .map(utf8),
  )
  fc.assert(
    fc.property(
      metadata,
      fc.bigInt(0n, (1n << 63n) - 1n),
      fc.bigInt(0n, 253_402_300_799_999n * 10_000n),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      fc.boolean(),
      (bytes, revision, created, stream, renamed) => {
        const original = event({ metadata: bytes, revision, created, stream })
        const there = moved(
          original,
          renamed ? { stream: `was.${stream}`, id: '11111111-2222-5333-8444-555555555555' } : {},
        )
        const back = eventBefore(there, 'old')
        if (back === undefined) throw new Error('nothing came back')
        const [a, b] = [original, back].map((one) => ({
          ...one,
          metadata: Buffer.from(one.metadata).toString('hex'),
        }))
        t.strictSame(b, a)
      },
    ),
  )
})

t.test('an event of another move, or of none, came from elsewhere', async (t) => {
  t.equal(eventBefore(moved(event()), 'another'), undefined)
  t.equal(eventBefore(event(), 'old'), undefined)
  t.equal(originIn(utf8('{"$imported":{"from":"old"}}')), undefined)
})

t.test('moving an event a second time keeps what the first move said', async (t) => {
  const once = moved(event())
  const twice = moved(once)
  const back = eventBefore(twice, 'old')
  t.strictSame(Buffer.from(back?.metadata ?? []), Buffer.from(once.metadata))
})

t.test('the sum is the same in any order, the chain in the same order alone', async (t) => {
  const some = [event(), event({ revision: 8n }), event({ data: utf8('{}') })]
  const tallyOf = (events: readonly MovedEvent[]) => {
    const tally = createTally(nodeCrypto.sha256)
    for (const one of events) tally.add(one)
    return tally.result()
  }
  const [forwards, backwards] = [tallyOf(some), tallyOf([...some].reverse())]
  t.equal(forwards.events, 3)
  t.equal(forwards.sum, backwards.sum)
  t.not(forwards.chain, backwards.chain)
  t.not(tallyOf(some.slice(1)).sum, forwards.sum)
  t.not(tallyOf([event({ data: utf8('{"amount":1}') }), ...some.slice(1)]).sum, forwards.sum)
})
