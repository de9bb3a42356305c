import t from 'tap'
import { canonicalText, parseJsonStrictly } from '../../src/contracts/canonical-json.js'

t.test('keys are sorted by UTF-16 code units and numbers take their shortest form', async (t) => {
  t.equal(
    canonicalText({ b: 1, a: [1e21, -0, '\u20ac$\u000f\nA\'"\\'] }),
    '{"a":[1e+21,0,"€$\\u000f\\nA\'\\"\\\\"],"b":1}',
  )
})

t.test('what JSON.parse would silently change is refused', async (t) => {
  t.throws(() => parseJsonStrictly('{"a":1,"a":2}'), { code: 'REQUEST_INVALID' })
  t.throws(() => parseJsonStrictly('[9007199254740993]'), { code: 'REQUEST_INVALID' })
  t.throws(() => parseJsonStrictly('{"a":1,}'), { code: 'REQUEST_INVALID' })
  t.throws(() => canonicalText('\ud800'), { code: 'REQUEST_INVALID' })
  t.strictSame(parseJsonStrictly('{"a":{"a":1},"b":[{"a":1}]}'), { a: { a: 1 }, b: [{ a: 1 }] })
})
