import { createServer, type RequestListener, type Server } from 'node:http'
import fastifyCookie from '@fastify/cookie'
import fastifySwagger from '@fastify/swagger'
import Fastify, { LogController, type FastifyInstance } from 'fastify'
import { jsonSchemaTransform, serializerCompiler } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { fieldProblems } from '../contracts/event.js'
import { guardAccess } from './access.js'
import { assets } from './assets.js'
import { audit } from './audit.js'
import { completeness } from './completeness.js'
import { events } from './events.js'
import { sparql } from './sparql.js'
import { streams } from './streams.js'
import { streamMetadata } from './stream-metadata.js'
import { evidence } from './evidence.js'
import { health } from './health.js'
import { factChecks } from './fact-checks.js'
import { hud } from './hud.js'
import { acceptJsonBodies, bodyBytesMax } from './json-body.js'
import { lineage } from './lineage.js'
import { live } from './live.js'
import { createCounters, metrics } from './metrics.js'
import type { ApiOptions, ApiParts } from './parts.js'
import { policies } from './policies.js'
import { createRawLeafLane, type RawLeafLane } from './raw-leaf-lane.js'
import { rawLeaves } from './raw-leaves.js'
import { securityHeaders, servePortal } from './portal.js'
import { replyWithProblem } from './problem.js'
import { proofs } from './proofs.js'
import { proposalDecisions } from './proposal-decisions.js'
import { proposalRemarks } from './proposal-remarks.js'
import { proposals } from './proposals.js'
import { query } from './query.js'
import { session } from './session.js'
import { tiles } from './tiles.js'
import { tokens } from './tokens.js'

const requestTimeoutMs = 60_000
/** Longer than proxies keep theirs, so that they end idle connections, not we. */
const keepAliveMs = 72_000
const headerBytesMax = 32 * 1024
const pathCharactersMax = 2_048

/**
 * The HTTP server: API, live stream and portal. It records and enqueues; it performs no side effect
 * (law 4), and nothing that it is handed could (law 3).
 */
export async function buildServer(parts: ApiParts, options: ApiOptions): Promise<FastifyInstance> {
  const counters = createCounters()
  const lane = parts.rawLeaves === null ? null : createRawLeafLane(parts.rawLeaves, counters)
  const app = Fastify({
    serverFactory: (handler) => createHttpServer(handler, lane),
    logger: options.logger ?? false,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyBytesMax,
    forceCloseConnections: true,
    return503OnClosing: true,
    routerOptions: { maxParamLength: pathCharactersMax },
  })
  app.setValidatorCompiler(validate)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(replyWithProblem)
  acceptJsonBodies(app)
  app.addHook('onRequest', async (_request, reply) => {
    void reply.headers(securityHeaders)
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    counters.request(request.method, route, reply.statusCode, reply.elapsedTime / 1000)
    // The route, never the address: codes, ids and filters of people stay out of the log.
    request.log.debug(
      {
        method: request.method,
        route,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
      },
      'answered',
    )
  })
  await app.register(fastifyCookie)
  await app.register(fastifySwagger, { openapi: openApi, transform: jsonSchemaTransform })
  guardAccess(app, parts, options)
  for (const resource of [
    proposals,
    proposalDecisions,
    proposalRemarks,
    events,
    streams,
    streamMetadata,
    proofs,
    completeness,
    assets,
    tokens,
    session,
    query,
    factChecks,
    lineage,
    audit,
    sparql,
    policies,
    hud,
    health,
  ])
    await app.register(resource(parts))
  await app.register(rawLeaves(parts, lane))
  for (const resource of [evidence, live, metrics]) await app.register(resource(parts, counters))
  await app.register(tiles(parts, options))
  await servePortal(app, options.portalFolder)
  return app
}

/** Node's server in front of the framework; the lane is asked first. */
function createHttpServer(handler: RequestListener, lane: RawLeafLane | null): Server {
  const server = createServer({ maxHeaderSize: headerBytesMax }, (request, response) => {
    if (lane?.take(request, response) !== true) handler(request, response)
  })
  server.requestTimeout = requestTimeoutMs
  server.keepAliveTimeout = keepAliveMs
  return server
}

const openApi = {
  openapi: '3.1.0',
  info: {
    title: 'FractalOps Ledger',
    version: '1',
    description:
      'Evidence and proof ledger. Errors are application/problem+json (RFC 9457) with a code of docs/errors.md and a remedy.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  components: { securitySchemes: { token: { type: 'http' as const, scheme: 'bearer' } } },
  security: [{ token: [] }],
}

const prefixes: Readonly<Record<string, string>> = {
  body: '',
  querystring: '/query',
  params: '/path',
  headers: '/headers',
}

/** Requests are checked by the schemas of the contracts; every wrong place is named by its pointer. */
function validate({ schema, httpPart }: { schema: unknown; httpPart?: string }) {
  if (!(schema instanceof z.ZodType)) throw new TypeError('routes are described with zod')
  return (value: unknown) => {
    const parsed = schema.safeParse(value)
    if (parsed.success) return { value: parsed.data }
    const fields = fieldProblems(parsed.error, prefixes[httpPart ?? 'body'] ?? '')
    const places = fields.map(({ pointer, detail }) => `${pointer || '/'} ${detail}`).join('; ')
    return {
      error: new EvidenceError(
        'REQUEST_INVALID',
        `the request is malformed: ${places.slice(0, 500)}`,
        { fields },
      ),
    }
  }
}
