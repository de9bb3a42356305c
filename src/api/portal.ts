import type { FastifyInstance, FastifyRequest } from 'fastify'
import fastifyStatic from '@fastify/static'
import { EvidenceError } from '../contracts/errors.js'

/** What every answer carries; the portal runs only what this server sent as a file. */
export const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const

const longLived = /[/\\]assets[/\\]/

/** Serves the built portal; its own paths all begin with its one page. */
export async function servePortal(app: FastifyInstance, folder: string | null): Promise<void> {
  if (folder === null) {
    app.setNotFoundHandler((request) => {
      throw nothingAt(request)
    })
    return
  }
  await app.register(async (files) => {
    // Files are public; what they show is asked for with a session.
    files.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'open' }
    })
    await files.register(fastifyStatic, {
      root: folder,
      wildcard: false,
      cacheControl: false,
      schemaHide: true,
      setHeaders(reply, path) {
        // Built files bear their digest in their name; the page that names them does not.
        void reply.header(
          'cache-control',
          longLived.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache',
        )
      },
    })
    // Here, because only in this scope a reply knows how to send a file of the portal.
    files.setNotFoundHandler((request, reply) => {
      if (!asksForPage(request)) throw nothingAt(request)
      return reply.header('cache-control', 'no-cache').sendFile('index.html')
    })
  })
}

const pathOf = (request: FastifyRequest) => request.url.split('?')[0] ?? ''

const asksForPage = (request: FastifyRequest) =>
  request.method === 'GET' &&
  (request.headers.accept ?? '').includes('text/html') &&
  !pathOf(request).startsWith('/v1/')

const nothingAt = (request: FastifyRequest) =>
  new EvidenceError('NOT_FOUND', `there is no ${request.method} ${pathOf(request).slice(0, 200)}`)
