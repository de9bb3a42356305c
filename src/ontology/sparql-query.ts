import { EvidenceError } from '../contracts/errors.js'

export const queryBytesMax = 65_536

/** What a SPARQL query asks for. */
export type QueryForm = 'SELECT' | 'ASK' | 'CONSTRUCT' | 'DESCRIBE'

const forms: ReadonlySet<string> = new Set(['SELECT', 'ASK', 'CONSTRUCT', 'DESCRIBE'])

const iri = /<[^<>"{}|^`\\\p{Cc} ]*>/u

/** Tokens of SPARQL as far as they matter: what a keyword could hide in comes before keywords. */
const tokens = new RegExp(
  [
    iri,
    /"""(?:"{0,2}(?:[^"\\]|\\[^]))*"""|'''(?:'{0,2}(?:[^'\\]|\\[^]))*'''/u,
    /"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*'/u,
    /#[^\n\r]*/u,
    /[?$][\p{L}\p{N}_]+/u,
    /(?:[\p{L}_][\p{L}\p{N}_.-]*)?:(?:[\p{L}\p{N}_:.%-]|\\.)*/u,
    /@[A-Za-z]+(?:-[A-Za-z0-9]+)*/u,
    /(?<word>[A-Za-z][A-Za-z0-9_]*)/u,
    /[^]/u,
  ]
    .map(({ source }) => source)
    .join('|'),
  'gu',
)

const wordsOf = (text: string): string[] =>
  [...text.matchAll(tokens)].flatMap(({ groups }) =>
    groups?.['word'] === undefined ? [] : [groups['word'].toUpperCase()],
  )

/** Escapes that SPARQL replaces before anything else is read. */
const unescaped = (text: string): string =>
  text.replace(/\\u([0-9A-Fa-f]{4})|\\U(00[0-9A-Fa-f]{6})/g, (whole, four, eight) => {
    const point = Number.parseInt(String(four ?? eight), 16)
    return point > 0x10_ffff ? whole : String.fromCodePoint(point)
  })

const refuse = (detail: string): never => {
  throw new EvidenceError('SPARQL_INVALID', `the query is not answered: ${detail}`, {
    fields: [{ pointer: '/query', detail }],
  })
}

/**
 * Whether a query only reads, and only what is here. The engine parses it again and knows no network and no
 * update; this names what is refused before anything is done.
 *
 * @throws EvidenceError SPARQL_INVALID, REQUEST_TOO_LARGE.
 */
export function checkSparql(text: string): QueryForm {
  if (Buffer.byteLength(text) > queryBytesMax)
    throw new EvidenceError('REQUEST_TOO_LARGE', `a query has at most ${queryBytesMax} bytes`)
  // With and without escapes: whichever way the engine reads it, nothing is hidden.
  const readings = [wordsOf(text), wordsOf(unescaped(text))]
  if (readings.some((words) => words.includes('SERVICE')))
    refuse('SERVICE asks another server, and none is asked from here')
  const words = readings[0] ?? []
  const form = words.find((word) => word !== 'BASE' && word !== 'PREFIX') ?? ''
  if (!forms.has(form))
    refuse(
      form === ''
        ? 'it says nothing'
        : `it begins with ${form}, and only SELECT, ASK, CONSTRUCT and DESCRIBE are answered`,
    )
  return form as QueryForm
}
