import { EvidenceError } from '../contracts/errors.js'
import { isReserved, Project } from '../contracts/identifiers.js'
import { LeafStream } from '../contracts/leaf.js'

const reservedId = /^[A-Za-z0-9._~-]{1,128}$/

/**
 * Checks the two names that identify a stream. @throws EvidenceError STREAM_INVALID.
 *
 * A stream is named `<category>-<id>`, the category ending at the first "-". In reserved
 * categories the id is opaque and short, because it becomes part of public leaves.
 */
export function checkStream(project: string, stream: string): void {
  const refuse = (detail: string): never => {
    throw new EvidenceError(
      'STREAM_INVALID',
      `the stream ${JSON.stringify(stream.slice(0, 80))} of the project ${JSON.stringify(project.slice(0, 80))} cannot be: ${detail}`,
    )
  }
  if (!Project.safeParse(project).success)
    refuse('a project is a-z, 0-9 and "-", beginning with a letter, up to 63')
  const named = LeafStream.safeParse(stream)
  if (!named.success) refuse(named.error.issues.map(({ message }) => message).join(', '))
  if (stream.startsWith('$')) refuse('names beginning with "$" are reserved')
  const dash = stream.indexOf('-')
  if (dash < 1 || dash === stream.length - 1) refuse('a stream is named <category>-<id>')
  if (isReserved(stream) && !reservedId.test(stream.slice(dash + 1))) {
    refuse('in this reserved category the id is 1 to 128 of A-Z a-z 0-9 . _ ~ -')
  }
}
