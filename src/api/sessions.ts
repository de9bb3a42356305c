import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { EvidenceError } from '../contracts/errors.js'
import { Sha256Hex } from '../contracts/identifiers.js'
import type { Identities, Identity } from '../runtime/identities.js'

export const sessionKeyBytes = 32
export const sessionMs = 12 * 60 * 60 * 1000
export const signInCodeMs = 15 * 60 * 1000
/** Codes that wait to be used; the oldest goes when another is made. */
export const signInCodesMax = 256

/** Browser sessions: one-time codes, and the signed cookie that a used code turns into. */
export interface Sessions {
  /** Differs per data folder, because cookies of one host are shared by all its ports. */
  readonly cookieName: string
  /** A code that signs one browser in, once, within 15 minutes. */
  newCode(tokenSha256: string): string
  /** Path and query of the sign-in link of a new code. */
  newLinkPath(tokenSha256: string): string
  /** @throws EvidenceError TOKEN_INVALID for a code that is unknown, used or too old. */
  redeem(code: string): Promise<{ readonly identity: Identity; readonly cookie: string }>
  /** @throws EvidenceError TOKEN_INVALID for a cookie that is forged, too old, or of a token that ended. */
  authenticate(cookie: string): Promise<Identity>
}

const Claims = z.strictObject({ token: Sha256Hex, until: z.int().positive() })

export function createSessions(options: {
  readonly key: Uint8Array
  readonly identities: Pick<Identities, 'byDigest'>
  readonly now: () => number
}): Sessions {
  const { key, identities, now } = options
  if (key.length !== sessionKeyBytes)
    throw new EvidenceError(
      'KEY_FILE_INVALID',
      `the session key must have ${sessionKeyBytes} bytes`,
    )
  const codes = new Map<string, { readonly tokenSha256: string; readonly until: number }>()
  const digestOf = (text: string) => createHash('sha256').update(text).digest('base64url')
  const seal = (payload: string) => createHmac('sha256', key).update(`session\0${payload}`).digest()
  const refuse = (why: string, cause?: unknown) =>
    new EvidenceError('TOKEN_INVALID', why, { cause })

  const newCode = (tokenSha256: string): string => {
    const code = randomBytes(24).toString('base64url')
    const [oldest] = codes.keys()
    if (codes.size >= signInCodesMax && oldest !== undefined) codes.delete(oldest)
    codes.set(digestOf(code), { tokenSha256, until: now() + signInCodeMs })
    return code
  }

  return {
    cookieName: `fractalops_${createHash('sha256').update('cookie\0').update(key).digest('hex').slice(0, 8)}`,
    newCode,
    newLinkPath: (tokenSha256) => `/sign-in?code=${newCode(tokenSha256)}`,

    async redeem(code) {
      const kept = codes.get(digestOf(code))
      // Used up before anything is awaited: of two browsers with one link only the first gets in.
      codes.delete(digestOf(code))
      if (kept === undefined || kept.until <= now())
        throw refuse('the sign-in link was used already or is too old')
      const identity = await identities.byDigest(kept.tokenSha256)
      const claims = { token: kept.tokenSha256, until: now() + sessionMs }
      const payload = Buffer.from(JSON.stringify(claims)).toString('base64url')
      return { identity, cookie: `${payload}.${seal(payload).toString('base64url')}` }
    },

    async authenticate(cookie) {
      const [payload, signature, ...rest] = cookie.split('.')
      if (payload === undefined || signature === undefined || rest.length > 0)
        throw refuse('the session cookie is malformed')
      const given = Buffer.from(signature, 'base64url')
      const wanted = seal(payload)
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
        throw refuse('the session cookie was not made here')
      const claims = Claims.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()))
      if (claims.until <= now()) throw refuse('the session has ended')
      return identities.byDigest(claims.token)
    },
  }
}
