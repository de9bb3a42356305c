import canonicalize from 'canonicalize'
import { visit } from 'jsonc-parser'
import { EvidenceError } from './errors.js'

const encoder = new TextEncoder()

/** JSON.stringify writes a lone surrogate as an escape; RFC 8785 text has no other \\u above \\u001f. */
const escapedSurrogate = /(?<!\\)(?:\\\\)*\\ud[89a-f]/

const refuse = (detail: string, pointer = ''): never => {
  throw new EvidenceError('REQUEST_INVALID', `the JSON cannot be canonicalised: ${detail}`, {
    fields: [{ pointer, detail }],
  })
}

/** RFC 8785 text of a value. @throws EvidenceError REQUEST_INVALID for lone surrogates, NaN, Infinity. */
export function canonicalText(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) return refuse('it is not a JSON value')
  if (escapedSurrogate.test(text)) return refuse('a string holds a lone surrogate')
  return text
}

/** RFC 8785 bytes of a value: UTF-8, no whitespace, keys sorted by UTF-16 code units. */
export const canonicalBytes = (value: unknown): Uint8Array => encoder.encode(canonicalText(value))

/**
 * Parses JSON text strictly enough for evidence: duplicate keys and integers beyond 2^53 are
 * refused, because `JSON.parse` would silently keep something else than what was sent.
 *
 * @throws EvidenceError REQUEST_INVALID naming the place.
 */
export function parseJsonStrictly(text: string): unknown {
  const keys: Set<string>[] = []
  visit(
    text,
    {
      onObjectBegin: () => void keys.push(new Set()),
      onObjectEnd: () => void keys.pop(),
      onObjectProperty: (name, offset) => {
        const seen = keys.at(-1)
        if (seen?.has(name))
          refuse(`the key ${JSON.stringify(name)} appears twice (offset ${offset})`)
        seen?.add(name)
      },
      onLiteralValue: (value, offset, length) => {
        if (typeof value !== 'number') return
        const written = text.slice(offset, offset + length)
        if (!Number.isFinite(value))
          refuse(`the number ${written} is beyond what JSON readers agree on`)
        if (/^-?\d+$/.test(written) && !Number.isSafeInteger(value)) {
          refuse(`the integer ${written} is beyond 2^53: write it as a string`)
        }
      },
      onError: (_code, offset) => refuse(`it is malformed at offset ${offset}`),
    },
    { disallowComments: true, allowTrailingComma: false },
  )
  return JSON.parse(text)
}
