import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { LeafStream } from '../contracts/leaf.js'
import { StreamMetadata } from '../contracts/stream-metadata.js'
import type { ExpectedRevision } from '../ledger/event-store.js'
import { requireListed } from '../ledger/stream-access.js'
import { checkOrdinaryStream, checkStream, metadataStreamOf } from '../ledger/stream-name.js'
import { principalOf, recorders } from './access.js'
import { eventIdOf } from './idempotency.js'
import type { ApiParts } from './parts.js'

const tags = ['events']
const params = z.strictObject({ stream: LeafStream })
const etagForm = /^"rev-(0|[1-9][0-9]{0,14})"$/

const tag = (reply: FastifyReply, revision: number) => reply.header('etag', `"rev-${revision}"`)

/** What is shown of a stream, and to whom. Setting it records an event; it hides others and erases none. */
export const streamMetadata =
  ({ ledger, clients }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/streams/:stream/metadata',
      {
        schema: {
          tags,
          summary:
            'What is shown of a stream ($maxAge, $maxCount, $tb) and who may do what ($acl), as it was last set',
          params,
          response: { 200: StreamMetadata },
        },
      },
      async (request, reply) => {
        const user = principalOf(request)
        const { project } = user
        const { stream } = request.params
        checkOrdinaryStream(project, stream)
        const found = await ledger.streamMetadata(project, stream)
        requireListed(found?.metadata, 'read-metadata', stream, user)
        if (found === undefined)
          throw new EvidenceError('STREAM_NOT_FOUND', `no metadata was set for ${stream}`)
        void tag(reply, found.revision)
        return found.metadata
      },
    )

    app.put(
      '/v1/streams/:stream/metadata',
      {
        config: { access: recorders },
        schema: {
          tags,
          summary:
            'Hide the beginning of a stream from its readers, or show it again; If-Match: the ETag of the metadata, If-None-Match: * when there is none',
          params,
          body: StreamMetadata,
          response: { 200: StreamMetadata },
        },
      },
      async (request, reply) => {
        const user = principalOf(request)
        const { project, name } = user
        const { stream } = request.params
        checkStream(project, metadataStreamOf(stream))
        const [receipt] = await clients
          .setStreamMetadata({
            id: eventIdOf(request),
            actor: name,
            project,
            stream,
            expected: expectedIn(request),
            metadata: request.body,
            user,
          })
          .catch((error: unknown) => {
            if (!(error instanceof EvidenceError) || error.code !== 'REVISION_CONFLICT') throw error
            throw new EvidenceError(
              'PRECONDITION_FAILED',
              `the metadata of ${stream} was set by somebody else meanwhile`,
              { cause: error },
            )
          })
        if (receipt === undefined)
          throw new EvidenceError('LEDGER_BUSY', 'the ledger answered no receipt')
        void tag(reply, receipt.revision)
        return request.body
      },
    )
  }

function expectedIn({ headers }: FastifyRequest): ExpectedRevision {
  const [match, none] = [headers['if-match'], headers['if-none-match']]
  if (none !== undefined && (none !== '*' || match !== undefined))
    throw new EvidenceError('REQUEST_INVALID', 'If-None-Match takes "*", and stands alone')
  if (none !== undefined) return 'none'
  if (match === undefined) return 'any'
  if (match === '*') return 'exists'
  const revision = etagForm.exec(match)?.[1]
  if (revision === undefined)
    throw new EvidenceError('PRECONDITION_FAILED', `${match} is no ETag of the metadata`)
  return Number(revision)
}
