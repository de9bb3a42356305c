import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { BatchProofRequest, BatchProofView, ConsistencyView } from '../contracts/http.js'
import { Decimal } from '../contracts/identifiers.js'
import { base64Of } from '../ledger/encoding.js'
import type { PublishedCheckpoint } from '../ledger/event-store.js'
import { provingUnder, shownCheckpoint } from '../runtime/proof-view.js'
import type { ApiParts } from './parts.js'

const tags = ['proofs']

export const proofs =
  ({ ledger, witnessed }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    /** Nothing is proven of a tree that nobody was shown. */
    const checkPublished = (size: number) => {
      const published = ledger.checkpoint().size
      if (!Number.isSafeInteger(size) || size > published)
        throw new EvidenceError(
          'TREE_RANGE',
          `the latest published checkpoint has ${published} leaves: there is none of ${size}`,
        )
    }

    const checkpointOf = async (size: number): Promise<PublishedCheckpoint> => {
      checkPublished(size)
      const under = provingUnder(ledger, witnessed, undefined)
      const source = witnessed?.required ? under : ledger
      const checkpoint = size === 0 ? undefined : await source.checkpointCovering(size - 1)
      if (checkpoint?.size === size) return checkpoint
      throw new EvidenceError('TREE_RANGE', `no checkpoint with ${size} leaves was published`)
    }

    app.get(
      '/v1/consistency',
      {
        schema: {
          tags,
          summary: 'RFC 6962 proof that the tree of one size grew into that of another',
          querystring: z.strictObject({ from: Decimal, to: Decimal }),
          response: { 200: ConsistencyView },
        },
      },
      async (request) => {
        const { from, to } = request.query
        checkPublished(Number(to))
        // Every tree extends the empty one, whose checkpoint is published too: nothing is to be shown.
        const proof = from === '0' ? [] : await ledger.proveConsistency(Number(from), Number(to))
        return { from, to, proof: proof.map(base64Of) }
      },
    )

    app.post(
      '/v1/proofs/inclusion',
      {
        schema: {
          tags,
          summary: 'One inclusion proof for many positions under one published checkpoint',
          body: BatchProofRequest,
          response: { 200: BatchProofView },
        },
      },
      async (request) => {
        const { positions, size } = request.body
        const checkpoint =
          size === undefined
            ? shownCheckpoint(ledger.checkpoint(), witnessed, undefined)
            : await checkpointOf(Number(size))
        const ascending = [...new Set(positions.map(Number))].sort((a, b) => a - b)
        const hashes = await ledger.proveBatch(ascending, checkpoint.size)
        return {
          positions: ascending.map(String),
          size: String(checkpoint.size),
          hashes: hashes.map(base64Of),
          checkpoint: checkpoint.note,
        }
      },
    )
  }
