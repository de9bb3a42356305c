import { once } from 'node:events'
import { Parser } from 'tap-parser'

const indent = (text) => text.replaceAll(/^/gm, '    ')

/** The diagnostics of a failed test point that help a reader; the rest is bookkeeping of the runner. */
function diagnosticsOf({ diag }) {
  if (!diag) return ''
  const { at, source, diff, stack, expected, found, wanted, message, ...rest } = diag
  const parts = []
  if (at?.fileName) parts.push(`at ${at.fileName}:${at.lineNumber ?? '?'}`)
  if (message) parts.push(message)
  if (diff) parts.push(diff.trimEnd())
  else if (expected !== undefined || wanted !== undefined || found !== undefined) {
    parts.push(`wanted ${JSON.stringify(wanted ?? expected)}\nfound ${JSON.stringify(found)}`)
  }
  for (const key of [
    'exitCode',
    'signal',
    'timeout',
    'expired',
    'tapError',
    'code',
    'cause',
    'fields',
    'details',
  ]) {
    const value = rest[key]
    if (value !== undefined && value !== null)
      parts.push(`${key}: ${typeof value === 'object' ? JSON.stringify(value) : value}`)
  }
  if (stack) parts.push(stack.trimEnd())
  if (source && !stack) parts.push(source.trimEnd())
  return indent(parts.join('\n'))
}

/**
 * Counts the tests of a TAP stream and reports failures and skips line by line as they come.
 *
 * Every `t.test` without tests of its own counts once, and so does a file without any. A failure
 * outside all of them (an assertion beside the tests, a crash, a wrong plan) counts once for the
 * test it stands in, so nothing that failed can be left out of the count.
 */
export async function readTap(stream, say) {
  const tally = { passed: 0, failed: 0, skipped: 0 }

  const follow = (parser, names) => {
    /** The tests inside this one, and how many of them were not ok. */
    const seen = { tests: 0, failedTests: 0, failedPoints: [] }
    let child
    let extra = []

    parser.on('child', (inner) => {
      const name = inner.name
      child = follow(inner, [...names, name])
    })
    parser.on('extra', (text) => {
      extra = [...extra, text].slice(-50)
    })
    parser.on('assert', (result) => {
      const inner = child
      child = undefined
      const path = [...names, result.name].join(' > ')
      const isTest = inner !== undefined || names.length === 0
      const directive = result.skip || result.todo
      if (directive) {
        seen.tests += 1
        tally.skipped += 1
        say(`skipped ${path}: ${directive === true ? 'no reason given' : directive}`)
      } else if (!isTest) {
        if (!result.ok) seen.failedPoints.push(result)
      } else {
        seen.tests += 1
        if (!result.ok) seen.failedTests += 1
        const leaf = inner === undefined || inner.tests === 0
        const ownFailure =
          inner !== undefined && (inner.failedPoints.length > 0 || inner.failedTests === 0)
        if (result.ok && leaf) tally.passed += 1
        if (!result.ok && (leaf || ownFailure)) {
          tally.failed += 1
          say(`\nFAILED ${path}`)
          const points = inner?.failedPoints ?? []
          for (const point of points)
            say(
              [`  ${point.name || 'unnamed assertion'}`, diagnosticsOf(point)]
                .filter(Boolean)
                .join('\n'),
            )
          if (points.length === 0)
            say(
              [diagnosticsOf(result), indent(extra.join('').trimEnd())].filter(Boolean).join('\n'),
            )
        }
      }
    })
    parser.on('bailout', (reason) => {
      if (names.length > 0) return
      tally.failed += 1
      say(`\nFAILED bail out: ${reason}`)
    })
    return seen
  }

  const parser = new Parser({ name: 'all' })
  follow(parser, [])
  stream.pipe(parser)
  const [results] = await once(parser, 'complete')
  if (!results.ok && tally.failed === 0) {
    tally.failed = 1
    const reasons = results.failures.map((failure) => failure.tapError).filter(Boolean)
    say(`\nFAILED the report of the tests is not whole: ${reasons.join('; ') || 'no reason given'}`)
  }
  return tally
}
