import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { Sha256Hex, Uuid } from '../contracts/identifiers.js'
import { bundlePublished, PolicyBundle } from '../contracts/policy.js'
import { fact } from '../ledger/facts.js'
import { policyPublishers, principalOf } from './access.js'
import { eventIdOf } from './idempotency.js'
import type { ApiParts } from './parts.js'

const Published = z.object({
  name: z.string(),
  bundle_digest: Sha256Hex,
  schema_digest: Sha256Hex,
  event_id: Uuid,
})

export const policies =
  ({ policies: engine, recorder }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/policies',
      {
        config: { access: policyPublishers },
        schema: {
          tags: ['policies'],
          summary: 'Publish a policy bundle; it decides nothing until it is activated',
          body: PolicyBundle,
          response: { 201: Published },
        },
      },
      async (request, reply) => {
        const bundle = request.body
        const { bundleDigest, schemaDigest } = engine.prepare(bundle)
        const { name, project } = principalOf(request)
        const id = eventIdOf(request)
        const published = fact(bundlePublished, id, {
          bundle,
          bundle_digest: bundleDigest,
          schema_digest: schemaDigest,
        })
        await recorder.record({
          project,
          stream: `policy-${bundle.name}`,
          expected: 'any',
          actor: name,
          facts: [published],
        })
        void reply.code(201)
        return {
          name: bundle.name,
          bundle_digest: bundleDigest,
          schema_digest: schemaDigest,
          event_id: id,
        }
      },
    )
  }
