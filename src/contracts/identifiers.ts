import * as z from 'zod'

/** Who may append events of a contract; part of every leaf. */
export const writers = ['recording', 'activity', 'intake', 'ledger', 'client', 'foreign'] as const
export const Writer = z.enum(writers)
export type Writer = z.infer<typeof Writer>

/** What a person or program may do; one token holds one or more of them. */
export const accessRoles = [
  'administrator',
  'proposer',
  'approver',
  'auditor',
  'operator',
  'intake',
  'policy-admin',
  'workflow',
] as const
export const AccessRole = z.enum(accessRoles)
export type AccessRole = z.infer<typeof AccessRole>

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const decimal = /^(0|[1-9][0-9]{0,18})$/
const project = /^[a-z][a-z0-9-]{0,62}$/
// What a schema below says, at a fraction of its cost: for what is checked on every append.
export const isUuid = (text: string): boolean => uuid.test(text)
export const isDecimal = (text: string): boolean => decimal.test(text)
export const isProject = (text: string): boolean => project.test(text)

export const Uuid = z.string().regex(uuid, 'a lower-case UUID')
export const Sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits')
export const Decimal = z.string().regex(decimal, 'a decimal number without leading zeros')
/** RFC 3339, UTC, exactly three fractional digits: the form of all times on the ledger. */
export const Timestamp = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'an RFC 3339 time in UTC with milliseconds')
/** A time as people give it, in the form of the ledger. Its time has milliseconds: a finer bound would be another one. */
export const Instant = z.iso
  .datetime({ offset: true })
  .refine((text) => !/\.\d{4}/.test(text), 'at most three fractional digits')
  .transform((text) => new Date(text).toISOString())
export const Project = z.string().regex(project, 'a project name: a-z, 0-9 and "-"')
export const AssetId = z
  .string()
  .regex(/^[A-Za-z0-9._~-]{1,128}$/, 'an asset_id: up to 128 of A-Z a-z 0-9 . _ ~ -')
export const Role = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'a role name: a-z, 0-9 and "-"')
/** The id of a person or program: opaque, because it stands in leaves that may become public. */
export const ActorName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._~-]{0,62}$/, 'a name: up to 63 of A-Z a-z 0-9 . _ ~ -')

/** Categories whose streams accept only events of the catalogue (design of the ledger, "Contracts"). */
export const reservedCategories = [
  'proposal',
  'policy',
  'workflow',
  'asset',
  'evidence',
  'endpoint',
  'identity',
  'key',
  'ledger',
  'contract',
  'projection',
  'intake',
  'steward',
  'chronicle',
  'browser',
  'studio',
  'ouroboros',
  'armory',
] as const

/** The category of a stream: what stands before the first "-". */
export const categoryOf = (stream: string): string => {
  const dash = stream.indexOf('-')
  return dash === -1 ? stream : stream.slice(0, dash)
}

const reserved: ReadonlySet<string> = new Set(reservedCategories)

export const isReserved = (stream: string): boolean =>
  stream.startsWith('$') || reserved.has(categoryOf(stream))
