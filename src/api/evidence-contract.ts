import { contractOf } from '../contracts/catalog.js'
import { EvidenceError } from '../contracts/errors.js'
import type { EventContract } from '../contracts/event.js'

/**
 * The contract under which an event of a caller is recorded; undefined for one of a client's own types.
 * From callers come facts about evidence and events of clients; nothing else, whatever the token.
 *
 * @throws EvidenceError WRITER_REFUSED.
 */
export function contractFor(type: string): EventContract | undefined {
  const contract = contractOf(type)
  if (
    contract === undefined ||
    (contract.writer === 'recording' && contract.category === 'evidence')
  )
    return contract
  const details = { type: contract.type, writer: contract.writer }
  if (contract.writer !== 'recording') {
    throw new EvidenceError(
      'WRITER_REFUSED',
      `${contract.type} is appended only by the writer "${contract.writer}", never by a request`,
      { details },
    )
  }
  throw new EvidenceError(
    'WRITER_REFUSED',
    `${contract.type} is recorded by the requests of its own resource, not as evidence`,
    { details },
  )
}
