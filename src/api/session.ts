import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { SessionView } from '../contracts/http.js'
import { ownOrigin, principalOf } from './access.js'
import type { ApiParts } from './parts.js'
import { sessionMs } from './sessions.js'

const tags = ['identity']
const cookieOptions = { path: '/', httpOnly: true, sameSite: 'strict' } as const

const refusedPage = `<!doctype html><html lang="en"><title>Sign-in</title><p>This sign-in link was used already or is too old.</p>
<p>Make a new one with <code>fractalops token link</code>.</p></html>`

export const session =
  ({ sessions, ledger }: ApiParts): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/sign-in',
      {
        config: { access: 'open' },
        schema: {
          tags,
          summary: 'Sign one browser in, once',
          querystring: z.strictObject({ code: z.string().min(1).max(128) }),
        },
      },
      async (request, reply) => {
        void reply.header('cache-control', 'no-store')
        try {
          const { cookie } = await sessions.redeem(request.query.code)
          void reply.setCookie(sessions.cookieName, cookie, {
            ...cookieOptions,
            maxAge: sessionMs / 1000,
          })
          return await reply.redirect('/', 303)
        } catch (error) {
          if (!(error instanceof EvidenceError) || error.kind !== 'unauthenticated') throw error
          // A person in a browser reads this, not a program.
          return reply.code(401).type('text/html; charset=utf-8').send(refusedPage)
        }
      },
    )

    app.get(
      '/v1/session',
      {
        config: { access: 'reading' },
        schema: { tags, summary: 'Who asks', response: { 200: SessionView } },
      },
      async (request) => {
        const { name, project, access } = principalOf(request)
        return { name, project, access: [...access], origin: ledger.origin }
      },
    )

    app.post(
      '/v1/session/links',
      {
        schema: {
          tags,
          summary: 'Make a one-time sign-in link for a browser of the caller',
          response: { 201: z.object({ sign_in_url: z.string() }) },
        },
      },
      async (request, reply) => {
        void reply.code(201).header('cache-control', 'no-store')
        return {
          sign_in_url: `${ownOrigin(request)}${sessions.newLinkPath(principalOf(request).tokenSha256)}`,
        }
      },
    )

    app.post(
      '/v1/session/sign-out',
      { schema: { tags, summary: 'End the session of this browser' } },
      async (_request, reply) => {
        void reply.clearCookie(sessions.cookieName, cookieOptions)
        return reply.code(204).send()
      },
    )
  }
