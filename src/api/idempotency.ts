import { randomUUID } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { EvidenceError } from '../contracts/errors.js'
import { idempotencyEventId } from '../ledger/event-ids.js'
import { principalOf } from './access.js'

const keyForm = /^[\x21-\x7e]{1,255}$/

/**
 * The id of the event that a request records: the same for every repetition under one
 * `Idempotency-Key`, so that the ledger itself answers what happened the first time.
 */
export function eventIdOf(request: FastifyRequest): string {
  const header = request.headers['idempotency-key']
  if (header === undefined) return randomUUID()
  const written = Array.isArray(header) ? header.join() : header
  const key = /^"(.*)"$/.exec(written)?.[1] ?? written
  if (!keyForm.test(key)) {
    throw new EvidenceError(
      'REQUEST_INVALID',
      'the Idempotency-Key must be 1 to 255 visible ASCII characters',
    )
  }
  const path = request.url.split('?')[0] ?? ''
  return idempotencyEventId(principalOf(request).name, `${request.method} ${path}`, key)
}
