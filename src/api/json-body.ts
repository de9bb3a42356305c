import type { FastifyInstance } from 'fastify'
import { parseJsonStrictly } from '../contracts/canonical-json.js'
import { EvidenceError } from '../contracts/errors.js'

export const bodyBytesMax = 1024 * 1024
/** Deeper values are refused before any recursive reader sees them. */
export const nestingMax = 64

const decoder = new TextDecoder('utf-8', { fatal: true })

const invalid = (detail: string, cause?: unknown) =>
  new EvidenceError('REQUEST_INVALID', `the body is not acceptable JSON: ${detail}`, {
    cause,
    fields: [{ pointer: '', detail }],
  })

/** Reads a JSON body: UTF-8, bounded in depth, no duplicate keys, no integers beyond 2^53. @throws EvidenceError REQUEST_INVALID. */
export function readJson(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch (cause) {
    throw invalid('it is not UTF-8', cause)
  }
  if (text.trim() === '') throw invalid('it is empty')
  checkNesting(text)
  return parseJsonStrictly(text)
}

function checkNesting(text: string): void {
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    if (inString) {
      if (unit === 0x5c) at += 1
      else if (unit === 0x22) inString = false
    } else if (unit === 0x22) inString = true
    else if (unit === 0x7b || unit === 0x5b) {
      depth += 1
      if (depth > nestingMax) throw invalid(`it is nested deeper than ${nestingMax} levels`)
    } else if (unit === 0x7d || unit === 0x5d) depth -= 1
  }
}

/** JSON is the only content type of ordinary routes; everything else is answered 415. */
export function acceptJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer', bodyLimit: bodyBytesMax },
    async (_request: unknown, body: Buffer) =>
      // "POST without a body" with a content type is what many clients send; the schema says what is missing.
      body.length === 0 ? undefined : readJson(body),
  )
}
