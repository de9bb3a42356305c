import { createHash, timingSafeEqual } from 'node:crypto'
import { open } from 'node:fs/promises'
import { EvidenceError } from '../../contracts/errors.js'

const fileBytesMax = 65_536
const line =
  /^(?<user>[^:\s]{1,128}):(?<password>.{1,512}):(?<token>[A-Za-z0-9][A-Za-z0-9._~-]{0,62})$/
const othersMay = 0o077

const digestOf = (password: string): Buffer => createHash('sha256').update(password).digest()

/** Answers the name of the token whose rights somebody has who signs in so; undefined = nobody does. */
export type PasswordFile = (user: string, password: string) => string | undefined

/**
 * Reads users with passwords, for programs that cannot be given a token: lines `user:password:name of the token`.
 * Only their owner may read the file. The passwords themselves are not kept.
 *
 * @throws EvidenceError CONFIGURATION_INVALID.
 */
export async function readPasswordFile(path: string): Promise<PasswordFile> {
  const wrong = (detail: string, cause?: unknown) =>
    new EvidenceError('CONFIGURATION_INVALID', `the file of users ${path} ${detail}`, { cause })
  const users = new Map<string, { readonly digest: Buffer; readonly token: string }>()
  for (const [i, text] of (await readLines(path, wrong)).entries()) {
    if (text.trim() === '' || text.startsWith('#')) continue
    const { user = '', password = '', token = '' } = line.exec(text)?.groups ?? {}
    if (user === '') throw wrong(`is no "user:password:name of a token" in line ${i + 1}`)
    if (users.has(user)) throw wrong(`names ${user} twice`)
    users.set(user, { digest: digestOf(password), token })
  }
  return (user, password) => {
    const known = users.get(user)
    return known !== undefined && timingSafeEqual(known.digest, digestOf(password))
      ? known.token
      : undefined
  }
}

async function readLines(
  path: string,
  wrong: (detail: string, cause?: unknown) => EvidenceError,
): Promise<readonly string[]> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw wrong('cannot be read', cause)
  })
  try {
    const { mode, size } = await file.stat()
    if ((mode & othersMay) !== 0) throw wrong('can be read by others: chmod 600')
    if (size > fileBytesMax) throw wrong(`has more than ${fileBytesMax} bytes`)
    return (await file.readFile('utf8')).split(/\r?\n/)
  } finally {
    await file.close()
  }
}
