import { EvidenceError } from '../contracts/errors.js'
import type { StreamMetadata } from '../contracts/stream-metadata.js'
import { describedStream, isMetadataStream } from './stream-name.js'

/** Who wants to do something with a stream of clients. */
export interface StreamUser {
  readonly name: string
  /** The access roles of the token. */
  readonly access: readonly string[]
}

/** As the members of an access list are named. */
const memberOf = {
  read: '$r',
  append: '$w',
  delete: '$d',
  'read-metadata': '$mr',
  'change-metadata': '$mw',
} as const
export type StreamOperation = keyof typeof memberOf

const everybody = '$all'

/** Reading or appending, as it is called when the stream holds the metadata of another one. */
export const operationOn = (stream: string, wanted: 'read' | 'append'): StreamOperation =>
  !isMetadataStream(stream) ? wanted : wanted === 'read' ? 'read-metadata' : 'change-metadata'

/**
 * Whether the access list of a stream lets somebody do something, whose token may do it at all. The administrator
 * is on every list, and an auditor on those for reading: nothing is hidden from who audits.
 */
export function mayDo(
  metadata: StreamMetadata | undefined,
  operation: StreamOperation,
  { name, access }: StreamUser,
): boolean {
  const list = metadata?.$acl?.[memberOf[operation]]
  if (list === undefined || access.includes('administrator')) return true
  const isReading = operation === 'read' || operation === 'read-metadata'
  if (isReading && access.includes('auditor')) return true
  const names = typeof list === 'string' ? [list] : list
  return names.includes(everybody) || names.includes(name)
}

/** @throws EvidenceError ACCESS_DENIED. */
export function requireListed(
  metadata: StreamMetadata | undefined,
  operation: StreamOperation,
  stream: string,
  user: StreamUser,
): void {
  if (mayDo(metadata, operation, user)) return
  throw new EvidenceError(
    'ACCESS_DENIED',
    `${user.name} is not on the list ${memberOf[operation]} of the stream ${describedStream(stream)}`,
    { details: { stream: describedStream(stream) } },
  )
}
