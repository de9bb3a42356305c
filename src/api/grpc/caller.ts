import type { Metadata } from '@grpc/grpc-js'
import { EvidenceError } from '../../contracts/errors.js'
import { administratorName } from '../../runtime/bootstrap.js'
import type { Identities, Identity } from '../../runtime/identities.js'
import type { Access } from '../access.js'
import { accessDenied } from './status.js'

const headerCharactersMax = 2_048

/** Who may call, decided for every call and, in calls that last, for every request in them. */
export interface Callers {
  /** @throws EvidenceError TOKEN_MISSING, TOKEN_INVALID; ProtocolError access-denied. */
  require(metadata: Metadata, access: Exclude<Access, 'open'>): Promise<Identity>
}

/** Identities beside those whose tokens callers send. */
export interface OtherCallers {
  /** Whose rights a call without any credentials has; absent = it is refused. */
  readonly nameless?: (() => Promise<Identity>) | undefined
  /** Who signs in with a password instead of a token; undefined = nobody with these two. */
  readonly users?: ((user: string, password: string) => Promise<Identity | undefined>) | undefined
}

/** What programs that were written for EventStoreDB call the administrator. */
const administratorAlias = 'admin'

/** User name and password of a call, when it has them in the way of EventStoreDB. */
function basicIn(header: string): { readonly user: string; readonly password: string } | undefined {
  const [, basic] = /^Basic +([A-Za-z0-9+/]+=*)$/i.exec(header) ?? []
  if (basic === undefined) return undefined
  const pair = Buffer.from(basic, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return { user: pair.slice(0, Math.max(colon, 0)), password: pair.slice(colon + 1) }
}

/** The name that a caller has given with its token or password. */
export function userNameIn(metadata: Metadata): string | undefined {
  const [header] = metadata.get('authorization')
  return header === undefined ? undefined : basicIn(header.toString())?.user
}

/**
 * Callers by their token: `Basic` with the token's name and the token itself, as the clients of EventStoreDB
 * send it, or `Bearer`.
 */
export function createCallers(
  identities: Identities,
  { nameless, users }: OtherCallers = {},
): Callers {
  const byPair = async (user: string, password: string): Promise<Identity> => {
    const known = await users?.(user, password)
    if (known !== undefined) return known
    const identity = await identities.authenticate(password)
    const name = user === administratorAlias ? administratorName : user
    if (identity.name !== name && identity.name !== user)
      throw new EvidenceError('TOKEN_INVALID', 'the token is not that of this name')
    return identity
  }
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
    const basic = basicIn(text)
    if (basic === undefined)
      throw new EvidenceError('TOKEN_INVALID', 'the credentials are neither Basic nor Bearer')
    return byPair(basic.user, basic.password)
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
