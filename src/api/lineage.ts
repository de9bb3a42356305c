import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { LineageDirection, LineageView } from '../contracts/lineage.js'
import { context, jsonLdOf } from '../ontology/json-ld.js'
import { depthMax } from '../ontology/lineage-walk.js'
import { canonicalQuads } from '../ontology/rdf.js'
import { accepted } from './accept.js'
import { principalOf } from './access.js'
import type { ApiParts } from './parts.js'

const depthDefault = 8
export const lineageTypes = [
  'application/json',
  'application/ld+json',
  'application/n-quads',
  'text/turtle',
  'application/trig',
] as const

const lineageQuery = z.strictObject({
  direction: LineageDirection.default('up'),
  depth: z.coerce.number().int().min(1).max(depthMax).default(depthDefault),
})

/** What led to something and what came of it, read from the ledger itself. */
export const lineage =
  ({ lineage: asked, graphText }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/lineage/:id',
      {
        schema: {
          tags: ['lineage'],
          summary:
            'What led to an event, a proposal or the last state of an asset, and what came of it; as JSON, JSON-LD, N-Quads, Turtle or TriG',
          params: z.strictObject({ id: z.string().min(1).max(128) }),
          querystring: lineageQuery,
          response: { 200: z.union([LineageView, z.string()]) },
        },
      },
      async (request, reply) => {
        const type = accepted(request.headers.accept, lineageTypes)
        const { project } = principalOf(request)
        const { view, quads } = await asked.ask(project, request.params.id, request.query)
        void reply
          .header('vary', 'accept')
          .header('fractalops-position', view.position)
          .type(type === 'application/json' ? type : `${type}; charset=utf-8`)
        switch (type) {
          case 'application/json':
            return view
          case 'application/ld+json':
            return reply.serializer(String).send(JSON.stringify(jsonLdOf(quads)))
          case 'application/n-quads':
            return reply.serializer(String).send(canonicalQuads(quads))
          case 'text/turtle':
            return reply.serializer(String).send(await graphText.turtle(quads))
          case 'application/trig':
            return reply.serializer(String).send(await graphText.trig(quads))
        }
      },
    )

    app.get(
      '/ontology/context.jsonld',
      {
        config: { access: 'open' },
        schema: {
          tags: ['lineage'],
          summary: 'The JSON-LD context; every document holds it, so that nobody needs to fetch it',
        },
      },
      async (_request, reply) => {
        void reply.type('application/ld+json').header('cache-control', 'public, max-age=3600')
        return reply.serializer(String).send(JSON.stringify({ '@context': context }))
      },
    )
  }
