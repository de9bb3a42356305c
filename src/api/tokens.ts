import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { TokenRequest, TokenResponse } from '../contracts/http.js'
import { AccessRole, ActorName, Project, Timestamp } from '../contracts/identifiers.js'
import { type Identity, sha256Hex } from '../runtime/identities.js'
import { administrators, ownOrigin, principalOf } from './access.js'
import { eventIdOf } from './idempotency.js'
import type { ApiParts } from './parts.js'

const TokenView = z.object({
  name: ActorName,
  project: Project,
  access: z.array(AccessRole),
  issued_at: Timestamp,
  expires_at: Timestamp.optional(),
  revoked: z.boolean(),
})

const tokenView = ({ name, project, access, issuedAt, expiresAt, revoked }: Identity) => ({
  name,
  project,
  access: [...access],
  issued_at: issuedAt,
  ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
  revoked,
})

const tags = ['identity']

export const tokens =
  ({ identities, sessions }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/tokens',
      {
        config: { access: administrators },
        schema: {
          tags,
          summary: 'Issue a token; it is shown once',
          body: TokenRequest,
          response: { 201: TokenResponse },
        },
      },
      async (request, reply) => {
        const { name, access } = request.body
        const unique = [...new Set(access)]
        const { identity, token, eventId } = await identities.issue(principalOf(request), {
          id: eventIdOf(request),
          name,
          access: unique,
        })
        void reply.code(201).header('cache-control', 'no-store')
        return {
          name: identity.name,
          project: identity.project,
          access: [...identity.access],
          token,
          sign_in_url: `${ownOrigin(request)}${sessions.newLinkPath(sha256Hex(token))}`,
          event_id: eventId,
        }
      },
    )

    app.get(
      '/v1/tokens',
      {
        config: { access: administrators },
        schema: {
          tags,
          summary: 'Tokens by name, without the tokens',
          response: { 200: z.object({ items: z.array(TokenView) }) },
        },
      },
      async (request) => ({
        items: (await identities.list(principalOf(request).project)).map(tokenView),
      }),
    )

    app.post(
      '/v1/tokens/:name/revoke',
      {
        config: { access: administrators },
        schema: {
          tags,
          summary: 'End a token and every session that came from it',
          params: z.strictObject({ name: ActorName }),
          response: { 200: TokenView },
        },
      },
      async (request) =>
        tokenView(
          await identities.revoke(principalOf(request), {
            id: eventIdOf(request),
            name: request.params.name,
          }),
        ),
    )
  }
