import type { Metadata } from '@grpc/grpc-js'
import { EvidenceError } from '../../contracts/errors.js'
import type { Identities, Identity } from '../../runtime/identities.js'
import type { Access } from '../access.js'
import { accessDenied } from './status.js'

const headerCharactersMax = 2_048

/** Who may call, decided for every call and, in calls that last, for every request in them. */
export interface Callers {
  /** @throws EvidenceError TOKEN_MISSING, TOKEN_INVALID; ProtocolError access-denied. */
  require(metadata: Metadata, access: Exclude<Access, 'open'>): Promise<Identity>
}

/**
 * Callers by their token: `Basic` with the token's name and the token itself, as the clients of EventStoreDB
 * send it, or `Bearer`. `nameless` is whose rights a call without any credentials has; undefined = it is refused.
 */
export function createCallers(identities: Identities, nameless?: () => Promise<Identity>): Callers {
  const callerOf = async (metadata: Metadata): Promise<Identity> => {
    const [header] = metadata.get('authorization')
    if (header === undefined) {
      if (nameless !== undefined) return nameless()
      throw new EvidenceError('TOKEN_MISSING', 'this call needs a token')
    }
    const text = header.toString()
    if (text.length > headerCharactersMax)
      throw new EvidenceError('TOKEN_INVALID', 'the credentials are too long')
    const [, bearer] = /^Bearer +(\S+)$/i.exec(text) ?? []
    if (bearer !== undefined) return identities.authenticate(bearer)
    const [, basic] = /^Basic +([A-Za-z0-9+/]+=*)$/i.exec(text) ?? []
    if (basic === undefined)
      throw new EvidenceError('TOKEN_INVALID', 'the credentials are neither Basic nor Bearer')
    const pair = Buffer.from(basic, 'base64').toString('utf8')
    const colon = pair.indexOf(':')
    const identity = await identities.authenticate(pair.slice(colon + 1))
    if (identity.name !== pair.slice(0, Math.max(colon, 0)))
      throw new EvidenceError('TOKEN_INVALID', 'the token is not that of this name')
    return identity
  }

  return {
    async require(metadata, access) {
      const caller = await callerOf(metadata)
      const allowed =
        access === 'reading'
          ? caller.access.some((role) => role !== 'intake')
          : access.some((role) => caller.access.includes(role))
      if (allowed) return caller
      const needed = access === 'reading' ? 'any but intake' : access.join(' or ')
      throw accessDenied(
        `this needs the access role ${needed}; ${caller.name} has ${caller.access.join(', ')}`,
      )
    },
  }
}
