import { createHash } from 'node:crypto'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { pageLimitMax } from '../contracts/http.js'

export const pageLimitDefault = 50
const cursorCharactersMax = 512

/** The query parameters of every list. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(pageLimitMax).default(pageLimitDefault),
  cursor: z.string().max(cursorCharactersMax).optional(),
}

/** What a cursor carries: where the next page begins, and for which question it was made. */
const Cursor = z.strictObject({ next: z.string().max(256), of: z.string().max(16) })

const questionOf = (question: unknown): string =>
  createHash('sha256').update(JSON.stringify(question)).digest('base64url').slice(0, 12)

export const cursorTo = (next: string, question: unknown): string =>
  Buffer.from(
    JSON.stringify({ next, of: questionOf(question) } satisfies z.infer<typeof Cursor>),
  ).toString('base64url')

/** Where the page begins that a cursor names. @throws EvidenceError REQUEST_INVALID for any cursor that was not made for this question. */
export function fromCursor(cursor: string | undefined, question: unknown): string | undefined {
  if (cursor === undefined) return undefined
  const refuse = (cause?: unknown) =>
    new EvidenceError('REQUEST_INVALID', 'the cursor is not one that this list gave out', {
      cause,
      fields: [
        {
          pointer: '/query/cursor',
          detail: 'send next_cursor of the page before, with the same filters',
        },
      ],
    })
  try {
    const { next, of } = Cursor.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
    if (of === questionOf(question)) return next
  } catch (cause) {
    throw refuse(cause)
  }
  throw refuse()
}

/** A cursor that names a position or revision. */
export function numberFromCursor(
  cursor: string | undefined,
  question: unknown,
): number | undefined {
  const next = fromCursor(cursor, question)
  if (next === undefined) return undefined
  const value = Number(next)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new EvidenceError('REQUEST_INVALID', 'the cursor is not one that this list gave out')
  return value
}

/** A page of what was read: one item more than asked for tells that there are more. */
export const pageOf = <Item>(
  found: readonly Item[],
  limit: number,
  cursorOf: (next: Item) => string,
) => {
  const next = found[limit]
  return {
    items: found.slice(0, limit),
    next_cursor: next === undefined ? null : cursorOf(next),
    has_more: next !== undefined,
  }
}
