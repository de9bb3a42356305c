import { EvidenceError } from '../contracts/errors.js'
import { isProject, isReserved } from '../contracts/identifiers.js'
import { isLimited, LeafStream, leafStreamBytesMax } from '../contracts/leaf.js'
import { hexOf, utf8 } from './encoding.js'
import type { Sha256 } from './merkle.js'

/** The project of the ledger's own events. */
export const ledgerProject = 'default'

/** The stream of the ledger's own events: `ledger-` and the first 16 hex digits of SHA-256(origin). */
export const ledgerStreamOf = (sha256: Sha256, origin: string): string =>
  `ledger-${hexOf(sha256(utf8(origin))).slice(0, 16)}`

const reservedId = /^[A-Za-z0-9._~-]{1,128}$/

const metadataMark = '$$'

/** Whether the stream holds the metadata of another one. */
export const isMetadataStream = (stream: string): boolean => stream.startsWith(metadataMark)

/** The stream that holds the metadata of this one. */
export const metadataStreamOf = (stream: string): string => `${metadataMark}${stream}`

/** The stream that a metadata stream describes; any other stream is itself. */
export const describedStream = (stream: string): string =>
  isMetadataStream(stream) ? stream.slice(metadataMark.length) : stream

/** A name that callers give a stream of theirs: none that begins with "$". @throws EvidenceError STREAM_INVALID. */
export function checkOrdinaryStream(project: string, stream: string): void {
  if (stream.startsWith('$'))
    throw new EvidenceError(
      'STREAM_INVALID',
      `the stream ${JSON.stringify(stream.slice(0, 80))} cannot be: names beginning with "$" are reserved`,
    )
  checkStream(project, stream)
}

/**
 * Checks the two names that identify a stream. @throws EvidenceError STREAM_INVALID.
 *
 * A stream is named `<category>-<id>`, the category ending at the first "-"; a name without "-" is a
 * category of its own, as clients of EventStoreDB use them. In reserved categories the id is opaque and short, because it becomes part of public leaves; they have no
 * metadata stream `$$<stream>`, because nothing may hide audit evidence.
 */
export function checkStream(project: string, stream: string): void {
  const refuse = (detail: string): never => {
    throw new EvidenceError(
      'STREAM_INVALID',
      `the stream ${JSON.stringify(stream.slice(0, 80))} of the project ${JSON.stringify(project.slice(0, 80))} cannot be: ${detail}`,
    )
  }
  if (!isProject(project))
    refuse('a project is a-z, 0-9 and "-", beginning with a letter, up to 63')
  if (!isLimited(stream, leafStreamBytesMax))
    refuse(
      LeafStream.safeParse(stream)
        .error?.issues.map(({ message }) => message)
        .join(', ') ?? '',
    )
  if (isMetadataStream(stream)) {
    const described = stream.slice(metadataMark.length)
    checkOrdinaryStream(project, described)
    if (isReserved(described)) refuse('streams of reserved categories have no metadata')
    return
  }
  if (stream.startsWith('$')) refuse('names beginning with "$" are reserved')
  const dash = stream.indexOf('-')
  if (isReserved(stream) && (dash < 0 || !reservedId.test(stream.slice(dash + 1)))) {
    refuse('in this reserved category the id is 1 to 128 of A-Z a-z 0-9 . _ ~ -')
  }
}
