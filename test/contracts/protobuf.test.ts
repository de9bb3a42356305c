import fc from 'fast-check'
import t from 'tap'
import {
  bool,
  bytes,
  int32,
  int64,
  message,
  repeated,
  sub,
  text,
  textMap,
  uint32,
  uint64,
} from '../../src/contracts/protobuf.js'

const Inner = message({ name: text(1), place: int64(2) })
const Whole = message({
  flag: bool(1),
  small: int32(2),
  count: uint32(3),
  large: uint64(4),
  raw: bytes(5),
  inner: sub(6, Inner),
  names: repeated(text(7)),
  parts: repeated(sub(8, Inner)),
  map: textMap(9),
  far: text(300),
})

const inner = fc.record(
  {
    name: fc.string({ unit: 'grapheme' }),
    place: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  },
  { noNullPrototype: true },
)
const whole = fc.record(
  {
    flag: fc.boolean(),
    small: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    count: fc.nat({ max: 2 ** 32 - 1 }),
    large: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    raw: fc.uint8Array({ maxLength: 300 }),
    inner,
    names: fc.array(fc.string(), { minLength: 1 }),
    parts: fc.array(inner, { minLength: 1, maxLength: 3 }),
    map: fc.dictionary(fc.string(), fc.string(), { minKeys: 1, noNullPrototype: true }),
    far: fc.string(),
  },
  { requiredKeys: [], noNullPrototype: true },
)

t.test('what is written is read again, whatever room was expected', async (t) => {
  fc.assert(
    fc.property(whole, fc.integer({ min: 0, max: 64 }), (value, room) => {
      const { raw, ...read } = Whole.decode(Whole.encode(value, room))
      const { raw: sent, ...rest } = value
      t.strictSame(read, rest)
      if (sent !== undefined) t.equal(Buffer.compare(raw ?? Buffer.alloc(0), sent), 0)
    }),
    { numRuns: 300 },
  )
})

t.test('known bytes, from the documentation of the format', async (t) => {
  t.equal(
    message({ a: int32(1) })
      .encode({ a: 150 })
      .toString('hex'),
    '089601',
  )
  t.equal(
    message({ b: text(2) })
      .encode({ b: 'testing' })
      .toString('hex'),
    '120774657374696e67',
  )
  t.equal(
    message({ c: sub(3, message({ a: int32(1) })) })
      .encode({ c: { a: 150 } })
      .toString('hex'),
    '1a03089601',
  )
  t.equal(
    message({ a: int64(1) })
      .encode({ a: -2n })
      .toString('hex'),
    '08feffffffffffffffff01',
  )
})

t.test('fields that nobody described are skipped, of every kind', async (t) => {
  const known = message({ a: int32(1) })
  const unknown = Buffer.from('100f' + '1a0161' + '250000000a' + '290000000000000001', 'hex')

  t.strictSame(known.decode(Buffer.concat([unknown, known.encode({ a: 7 }), unknown])), { a: 7 })
  t.strictSame(known.decode(Buffer.from('0a0161', 'hex')), {}, 'another kind is another field')
})

t.test('bytes that are no message are refused, never misread or looped over', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => {
      try {
        Whole.decode(junk)
      } catch (error) {
        t.match(error, { code: 'REQUEST_INVALID' })
      }
    }),
    { numRuns: 500 },
  )
  for (const hex of ['08', '0a05', '0affffffffff7f', '0b', '08ffffffffffffffffffffff01'])
    t.throws(() => Whole.decode(Buffer.from(hex, 'hex')), { code: 'REQUEST_INVALID' }, hex)
})
