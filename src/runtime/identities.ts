import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { EvidenceError } from '../contracts/errors.js'
import type { AccessRole } from '../contracts/identifiers.js'
import { accessRoles } from '../contracts/identifiers.js'
import { tokenIssued, tokenRevoked } from '../contracts/identity.js'
import { ledgerBootstrapped } from '../contracts/ledger.js'
import type { EventReader, RecordedEvent } from '../ledger/event-store.js'
import { dataOf, fact } from '../ledger/facts.js'
import { createFold } from '../ledger/fold.js'
import type { RecordWriter } from '../ledger/writers.js'
import type { Principal } from '../proposals/proposal.js'
import { identityStream } from '../proposals/worker-directory.js'
import { administratorName } from './bootstrap.js'

/** What the administrator may do: everything but to approve. What it proposes, another approves. */
export const administratorAccess: readonly AccessRole[] = accessRoles.filter(
  (role) => role !== 'approver',
)

/** Names that the product itself signs events with: no token may bear one. */
const reservedNames = [
  'ledger',
  'fractalops',
  'system',
  'worker',
  'api',
  'execution-runtime',
  'projector',
  'witness',
  'steward',
  'archiver',
]

/** A token as the ledger knows it; the token itself is kept nowhere. */
export interface Identity extends Principal {
  readonly access: readonly AccessRole[]
  readonly tokenSha256: string
  readonly issuedAt: string
  readonly expiresAt?: string
  readonly revoked: boolean
}

export interface IssuedToken {
  readonly identity: Identity
  /** Shown once. */
  readonly token: string
  readonly eventId: string
}

/** Who may come in, folded from the ledger. */
export interface Identities {
  /** @throws EvidenceError TOKEN_INVALID for a token that is unknown, revoked or expired. */
  authenticate(token: string): Promise<Identity>
  /** The identity of a token digest, while it is valid. @throws EvidenceError TOKEN_INVALID. */
  byDigest(tokenSha256: string): Promise<Identity>
  /** Issues a token. @throws EvidenceError ACCESS_DENIED, REVISION_CONFLICT when the name was given before. */
  issue(
    principal: Principal,
    request: { readonly id: string; readonly name: string; readonly access: readonly AccessRole[] },
  ): Promise<IssuedToken>
  /** Ends a token and every session that came from it. @throws EvidenceError EVENT_NOT_FOUND, ACCESS_DENIED. */
  revoke(
    principal: Principal,
    request: { readonly id: string; readonly name: string },
  ): Promise<Identity>
  list(project: string): Promise<readonly Identity[]>
}

export const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex')

export const newToken = (): string => `fol_${randomBytes(32).toString('base64url')}`

interface Known {
  readonly byName: Map<string, Identity>
  readonly byDigest: Map<string, Identity>
}

export function createIdentities(
  reader: EventReader,
  recorder: RecordWriter,
  now: () => number,
): Identities {
  const fold = createFold<Known>(reader, {
    filter: { types: [ledgerBootstrapped.type, tokenIssued.type, tokenRevoked.type] },
    initial: { byName: new Map(), byDigest: new Map() },
    evolve: (known, event) => {
      const identity = identityAfter(known, event)
      if (identity !== undefined) {
        known.byName.set(identity.name.toLowerCase(), identity)
        known.byDigest.set(identity.tokenSha256, identity)
      }
      return known
    },
  })

  const byDigest = async (tokenSha256: string): Promise<Identity> => {
    const found = (await fold.current()).byDigest.get(tokenSha256)
    if (
      found === undefined ||
      !timingSafeEqual(Buffer.from(found.tokenSha256), Buffer.from(tokenSha256))
    ) {
      throw new EvidenceError('TOKEN_INVALID', 'the token is not known here')
    }
    if (found.revoked)
      throw new EvidenceError('TOKEN_INVALID', `the token of ${found.name} was revoked`)
    if (found.expiresAt !== undefined && Date.parse(found.expiresAt) <= now()) {
      throw new EvidenceError(
        'TOKEN_INVALID',
        `the token of ${found.name} expired at ${found.expiresAt}`,
      )
    }
    return found
  }

  return {
    byDigest,
    authenticate: (token) => byDigest(sha256Hex(token)),

    async issue(principal, { id, name, access }) {
      requireAdministrator(principal)
      const taken =
        reservedNames.includes(name.toLowerCase()) ||
        (await fold.current()).byName.has(name.toLowerCase())
      if (taken) throw nameTaken(name)
      const token = newToken()
      await recorder
        .record({
          project: principal.project,
          stream: identityStream(name),
          expected: 'none',
          actor: principal.name,
          facts: [
            fact(tokenIssued, id, {
              name,
              project: principal.project,
              access: [...access],
              token_sha256: sha256Hex(token),
            }),
          ],
        })
        .catch((error: unknown) => {
          // Two requests for one name at the same moment: the stream decides which one was first.
          if (error instanceof EvidenceError && error.code === 'REVISION_CONFLICT')
            throw nameTaken(name, error)
          throw error
        })
      return { identity: await byDigest(sha256Hex(token)), token, eventId: id }
    },

    async revoke(principal, { id, name }) {
      requireAdministrator(principal)
      const found = (await fold.current()).byName.get(name.toLowerCase())
      if (found?.name !== name || found.project !== principal.project) {
        throw new EvidenceError('EVENT_NOT_FOUND', `no token bears the name ${name}`)
      }
      if (name === administratorName) {
        throw new EvidenceError(
          'ACCESS_DENIED',
          'the token of the administrator cannot be revoked: nobody could issue another',
        )
      }
      if (!found.revoked) {
        await recorder.record({
          project: principal.project,
          stream: identityStream(name),
          expected: 'exists',
          actor: principal.name,
          facts: [fact(tokenRevoked, id, { name, token_sha256: found.tokenSha256 })],
        })
      }
      return (await fold.current()).byName.get(name.toLowerCase()) ?? found
    },

    async list(project) {
      return [...(await fold.current()).byName.values()].filter(
        (identity) => identity.project === project,
      )
    },
  }
}

const requireAdministrator = (principal: Principal) => {
  if (principal.access.includes('administrator')) return
  throw new EvidenceError(
    'ACCESS_DENIED',
    'tokens are issued and revoked with the access role administrator only',
  )
}

const nameTaken = (name: string, cause?: unknown) =>
  new EvidenceError(
    'REVISION_CONFLICT',
    `the name ${name} was given before: a name stands for one person or program for ever, so choose another`,
    { cause },
  )

/**
 * The identity that an event makes or changes. Types alone are not enough: a client may use any type
 * on its own streams, so writer and stream must be those of the contract.
 */
function identityAfter(known: Known, event: RecordedEvent): Identity | undefined {
  const { leaf } = event
  if (
    leaf.type === ledgerBootstrapped.type &&
    leaf.writer === 'ledger' &&
    leaf.stream.startsWith('ledger-') &&
    leaf.revision === '0'
  ) {
    const data = dataOf(ledgerBootstrapped, event)
    if (data === undefined || known.byName.has(administratorName)) return undefined
    const { name, token_sha256: tokenSha256 } = data.administrator
    return {
      name,
      project: leaf.project,
      access: administratorAccess,
      tokenSha256,
      issuedAt: leaf.time,
      revoked: false,
    }
  }
  if (leaf.writer !== 'recording') return undefined
  if (leaf.type === tokenIssued.type) {
    const data = dataOf(tokenIssued, event)
    if (data === undefined || leaf.stream !== identityStream(data.name)) return undefined
    const { name, project, access, token_sha256: tokenSha256, expires_at: expiresAt } = data
    return {
      name,
      project,
      access,
      tokenSha256,
      issuedAt: leaf.time,
      ...(expiresAt === undefined ? {} : { expiresAt }),
      revoked: false,
    }
  }
  if (leaf.type !== tokenRevoked.type) return undefined
  const data = dataOf(tokenRevoked, event)
  const before = data === undefined ? undefined : known.byDigest.get(data.token_sha256)
  return before === undefined || leaf.stream !== identityStream(before.name)
    ? undefined
    : { ...before, revoked: true }
}
