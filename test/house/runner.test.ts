import { Readable } from 'node:stream'
import t from 'tap'
import { readTap } from '../../scripts/tap-tally.mjs'

/** What the closing line would count of this TAP, and what would be printed before it. */
async function tallyOf(tap: string) {
  const lines: string[] = []
  const tally = await readTap(Readable.from([tap]), (line) => lines.push(line))
  return { ...tally, said: lines.join('\n') }
}

t.test('a test counts once, however deep it stands and however much it asserts', async (t) => {
  const tally = await tallyOf(`TAP version 14
# Subtest: a.test.ts
    # Subtest: outer
        ok 1 - one
        # Subtest: inner
            ok 1 - two
            ok 2 - three
            1..2
        ok 2 - inner
        1..2
    ok 1 - outer
    # Subtest: flat
        ok 1 - four
        1..1
    ok 2 - flat
    1..2
ok 1 - a.test.ts
1..1
`)
  t.match(tally, { passed: 2, failed: 0, skipped: 0, said: '' })
})

t.test('a failed assertion is shown with its path, place and difference', async (t) => {
  const tally = await tallyOf(`TAP version 14
# Subtest: a.test.ts
    # Subtest: outer
        not ok 1 - should be equal
          ---
          diff: |
            -1
            +2
          at:
            fileName: a.test.ts
            lineNumber: 7
          ...
        1..1
    not ok 1 - outer
    1..1
not ok 1 - a.test.ts
1..1
`)
  t.match(tally, { passed: 0, failed: 1 })
  t.match(
    tally.said,
    /FAILED a\.test\.ts > outer\n.*should be equal\n +at a\.test\.ts:7\n +-1\n +\+2/,
  )
})

t.test(
  'what fails outside every test is counted: an assertion beside them, a file that crashes',
  async (t) => {
    const tally = await tallyOf(`TAP version 14
# Subtest: beside.test.ts
    # Subtest: fine
        ok 1 - one
        1..1
    ok 1 - fine
    not ok 2 - beside
    1..2
not ok 1 - beside.test.ts
# Subtest: crash.test.ts
    1..0 # no tests found
not ok 2 - crash.test.ts
  ---
  exitCode: 1
  ...
1..2
`)
    t.match(tally, { passed: 1, failed: 2 })
    t.match(tally.said, /FAILED beside\.test\.ts\n {2}beside\n/)
    t.match(tally.said, /FAILED crash\.test\.ts\n {4}exitCode: 1/)
  },
)

t.test('a skipped test is neither passed nor failed, and says why', async (t) => {
  const tally = await tallyOf(`TAP version 14
# Subtest: a.test.ts
    ok 1 - with a server # SKIP no server
    1..1
ok 1 - a.test.ts
1..1
`)
  t.match(tally, { failed: 0, skipped: 1, said: 'skipped a.test.ts > with a server: no server' })
})

t.test('a stream that ends in the middle is a failure', async (t) => {
  const tally = await tallyOf(`TAP version 14
# Subtest: a.test.ts
    # Subtest: outer
        ok 1 - one
`)
  t.ok(tally.failed >= 1, JSON.stringify(tally))
})
