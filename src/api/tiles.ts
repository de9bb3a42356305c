import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { parseTilePath, readTile } from '../ledger/tiles.js'
import type { ApiOptions, ApiParts } from './parts.js'
import { evidenceErrorOf, replyWithProblem } from './problem.js'

const immutable = 'max-age=31536000, immutable'
const text = 'text/plain; charset=utf-8'

/**
 * The tree and the leaves as C2SP tlog-tiles lays them out. Only what a published checkpoint covers is
 * there, so nothing that was answered ever changes and caches may keep it for ever.
 */
export const tiles =
  ({ ledger }: ApiParts, { publicTiles }: ApiOptions): FastifyPluginAsyncZod =>
  async (app) => {
    app.setErrorHandler(replyInPlainText)

    const answer = async (request: FastifyRequest, reply: FastifyReply) => {
      const path = request.url.split('?')[0] ?? ''
      const tile = await readTile(ledger, parseTilePath(path.slice(1)))
      const isShared = request.caller === null
      return reply
        .type('application/octet-stream')
        .header('cache-control', `${isShared ? 'public' : 'private'}, ${immutable}`)
        .send(tile)
    }

    app.get(
      '/tile/:level/*',
      {
        config: { access: 'open' },
        schema: {
          tags: ['proofs'],
          summary: 'A tile of hashes of the tree (C2SP tlog-tiles): /tile/<L>/<N>[.p/<W>]',
        },
      },
      answer,
    )

    app.get(
      '/tile/entries/*',
      {
        config: { access: publicTiles === true ? 'open' : 'reading' },
        schema: {
          tags: ['proofs'],
          summary: 'A bundle of leaves (C2SP tlog-tiles): /tile/entries/<N>[.p/<W>]',
        },
      },
      answer,
    )
  }

/** Readers of tiles speak C2SP: what is no tile is 400, what is not there 404, both in plain text. */
function replyInPlainText(error: unknown, request: FastifyRequest, reply: FastifyReply) {
  const known = evidenceErrorOf(error)
  if (known?.kind !== 'invalid' && known?.kind !== 'missing')
    return replyWithProblem(error, request, reply)
  return reply
    .code(known.kind === 'invalid' ? 400 : 404)
    .type(text)
    .header('cache-control', 'no-store')
    .send(`${known.message}\n`)
}
