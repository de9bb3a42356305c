import { EvidenceError } from '../../contracts/errors.js'
import { isReserved } from '../../contracts/identifiers.js'
import type { StreamMetadata } from '../../contracts/stream-metadata.js'
import type { Receipt } from '../../ledger/event-store.js'
import { checkStream } from '../../ledger/stream-name.js'
import type { Identity } from '../../runtime/identities.js'
import { recorders } from '../access.js'
import { empty } from './messages.js'
import type { MethodParts } from './parts.js'
import { conflictOf, expectedIn, requireRevision } from './proposed-events.js'
import { requireNotEnded } from './read.js'
import { type Call, type Method, unary } from './rpc.js'
import { accessDenied } from './status.js'
import { DeleteRequest, DeleteResponse, type ExpectedRevisionOptions } from './stream-messages.js'
import { positionOf, streamIn } from './stored-messages.js'

/** How often a change of metadata is tried again when others change it at the same time. */
const triesMax = 8

/**
 * Deleting and ending streams. Both are events, of the stream's metadata, that hide what the stream holds from
 * its readers: every leaf stays, and so does every proof (law 1).
 */
export const deleting = (parts: MethodParts): readonly Method[] => [
  unary(
    '/event_store.client.streams.Streams/Delete',
    DeleteRequest,
    DeleteResponse,
    ({ options = {} }, call) =>
      // What is appended from here on is shown, and is numbered on.
      hide(parts, options, call, async (caller, stream, last) => {
        await requireSomething(parts, caller, stream, options)
        return { $tb: last + 1 }
      }),
  ),
  unary(
    '/event_store.client.streams.Streams/Tombstone',
    DeleteRequest,
    DeleteResponse,
    ({ options = {} }, call) =>
      hide(parts, options, call, async () => ({
        $tb: Number.MAX_SAFE_INTEGER,
        $tombstoned: true,
      })),
  ),
]

async function hide(
  parts: MethodParts,
  options: ExpectedRevisionOptions,
  call: Call,
  change: (caller: Identity, stream: string, last: number) => Promise<StreamMetadata>,
) {
  const caller = await parts.callers.require(call.metadata, recorders)
  const stream = streamIn(options.streamIdentifier)
  const { project } = caller
  if (isReserved(stream))
    throw accessDenied(`the stream ${stream} is in a reserved category: nothing hides its events`)
  checkStream(project, stream)
  await requireNotEnded(parts.ledger, project, stream)
  await requireRevision(parts, project, { stream, expected: expectedIn(options) })
  const last = (await parts.ledger.lastRevision(project, stream, true)) ?? -1
  const [receipt] = await changeMetadata(parts, caller, stream, await change(caller, stream, last))
  const position = receipt?.position ?? undefined
  return position === undefined ? { noPosition: empty } : { position: positionOf(position) }
}

/** There is nothing to delete of a stream that never was. @throws EvidenceError REVISION_CONFLICT. */
async function requireSomething(
  { ledger }: MethodParts,
  { project }: Identity,
  stream: string,
  options: ExpectedRevisionOptions,
): Promise<void> {
  if ((await ledger.lastRevision(project, stream, true)) !== undefined) return
  if ((await ledger.streamMetadata(project, stream)) !== undefined) return
  throw conflictOf(project, { stream, expected: expectedIn(options) }, undefined)
}

/** Changes members of the metadata and leaves the others as they are. */
async function changeMetadata(
  { ledger, clients, newId }: MethodParts,
  user: Identity,
  stream: string,
  change: StreamMetadata,
): Promise<readonly Receipt[]> {
  const { project, name } = user
  const id = newId()
  for (let tries = 1; ; tries += 1) {
    const present = await ledger.streamMetadata(project, stream)
    try {
      return await clients.setStreamMetadata({
        project,
        stream,
        expected: present?.revision ?? 'none',
        id,
        actor: name,
        metadata: { ...present?.metadata, ...change },
        user,
        operation: 'delete',
      })
    } catch (error) {
      const changed = error instanceof EvidenceError && error.code === 'REVISION_CONFLICT'
      if (!changed || tries >= triesMax) throw error
    }
  }
}
