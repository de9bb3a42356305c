import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { EvidenceError } from '../contracts/errors.js'
import { rawLeafBytesMax } from '../ledger/raw-leaf.js'
import { intakes } from './access.js'
import type { ApiParts } from './parts.js'
import type { RawLeafLane } from './raw-leaf-lane.js'

/**
 * `POST /add` as the conformance servers of Tessera take it: the body is the leaf, the answer its index
 * once it is durable. Whoever was let in here may take the lane for a moment (`raw-leaf-lane.ts`).
 */
export const rawLeaves =
  ({ rawLeaves: writer }: ApiParts, lane: RawLeafLane | null): FastifyPluginAsyncZod =>
  async (app) => {
    if (writer === null) return
    app.removeAllContentTypeParsers()
    // The raw bytes whatever they are called, and also when they are called nothing.
    app.addContentTypeParser<Buffer>(
      '*',
      { parseAs: 'buffer', bodyLimit: rawLeafBytesMax },
      (_request, body, done) => {
        done(null, body)
      },
    )
    app.post(
      '/add',
      {
        bodyLimit: rawLeafBytesMax,
        config: { access: intakes },
        schema: {
          tags: ['proofs'],
          summary:
            'Append a raw leaf and answer its index; only in a ledger created with --interoperability',
          consumes: ['application/octet-stream'],
        },
      },
      async (request, reply) => {
        if (!Buffer.isBuffer(request.body))
          throw new EvidenceError('REQUEST_INVALID', 'the body is the leaf: it must hold a byte')
        const index = await writer.addRaw(request.body)
        lane?.admit(request.headers)
        void reply.header('content-type', 'text/plain; charset=utf-8')
        return String(index)
      },
    )
  }
