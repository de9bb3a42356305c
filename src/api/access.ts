import type { FastifyInstance, FastifyRequest } from 'fastify'
import { EvidenceError } from '../contracts/errors.js'
import type { AccessRole } from '../contracts/identifiers.js'
import type { Identity } from '../runtime/identities.js'
import type { ApiOptions, ApiParts } from './parts.js'

/** Who may use a route: `open` needs no token, `reading` any token but one of intake alone. */
export type Access = 'open' | 'reading' | readonly AccessRole[]

export const proposers: Access = ['proposer']
export const approvers: Access = ['approver']
export const recorders: readonly AccessRole[] = ['proposer', 'operator', 'workflow']
export const intakes: Access = ['intake']
export const administrators: Access = ['administrator']
export const policyPublishers: Access = ['administrator', 'policy-admin']

interface Caller {
  readonly identity: Identity
  readonly by: 'token' | 'cookie'
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Absent = reading. */
    access?: Access
  }
  interface FastifyRequest {
    caller: Caller | null
  }
}

/** Who asks. Only for routes that are not open. */
export function principalOf(request: FastifyRequest): Identity {
  if (request.caller === null)
    throw new EvidenceError('TOKEN_MISSING', 'this request needs a token')
  return request.caller.identity
}

const loopbackNames = ['127.0.0.1', 'localhost', '[::1]']
const safeMethods = ['GET', 'HEAD', 'OPTIONS']

/** Decides for every request, before its body is read, whether it may go on. */
export function guardAccess(
  app: FastifyInstance,
  { identities, sessions }: ApiParts,
  { host }: ApiOptions,
): void {
  app.decorateRequest('caller', null)
  const hosts = new Set([
    ...loopbackNames,
    host.includes(':') && !host.startsWith('[') ? `[${host}]` : host.toLowerCase(),
  ])

  const callerOf = async (request: FastifyRequest): Promise<Caller | null> => {
    const { authorization } = request.headers
    if (authorization !== undefined) {
      const [, token] = /^Bearer ([A-Za-z0-9._~+/-]{1,512}=*)$/i.exec(authorization) ?? []
      if (token === undefined)
        throw new EvidenceError('TOKEN_INVALID', 'the Authorization header is not "Bearer <token>"')
      return { identity: await identities.authenticate(token), by: 'token' }
    }
    const cookie = request.cookies[sessions.cookieName]
    if (cookie === undefined) return null
    const caller: Caller = { identity: await sessions.authenticate(cookie), by: 'cookie' }
    // Cookies travel with requests that other pages make: those of other origins end here.
    const { origin } = request.headers
    const mustName = !safeMethods.includes(request.method)
    if ((origin !== undefined || mustName) && origin !== ownOrigin(request)) {
      throw new EvidenceError(
        'ORIGIN_REFUSED',
        `requests of the origin ${JSON.stringify(origin ?? 'none')} are not taken with a session cookie`,
      )
    }
    return caller
  }

  app.addHook('onRequest', async (request) => {
    if (!hosts.has(hostNameOf(request.headers.host))) {
      throw new EvidenceError(
        'ORIGIN_REFUSED',
        `the host ${JSON.stringify(request.headers.host?.slice(0, 100) ?? 'none')} is not this service`,
      )
    }
    const access = request.is404 ? 'open' : (request.routeOptions.config.access ?? 'reading')
    if (access === 'open') return
    request.caller = await callerOf(request)
    const { name, access: has } = principalOf(request)
    const allowed =
      access === 'reading'
        ? has.some((role) => role !== 'intake')
        : access.some((role) => has.includes(role))
    if (allowed) return
    const needed = access === 'reading' ? 'any but intake' : access.join(' or ')
    throw new EvidenceError(
      'ACCESS_DENIED',
      `this needs the access role ${needed}; ${name} has ${has.join(', ')}`,
    )
  })
}

const hostNameOf = (header: string | undefined): string =>
  (header ?? '').toLowerCase().replace(/:\d{1,5}$/, '')

/** The origin under which the browser reached this server; its host was checked before. */
export const ownOrigin = (request: FastifyRequest): string =>
  `${request.protocol}://${request.headers.host ?? ''}`
