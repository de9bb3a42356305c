import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { EvidenceError } from '../contracts/errors.js'

/** Where each part of the service keeps its state. `docs/operating.md` says what may be lost. */
export interface DataFolder {
  readonly path: string
  readonly ledger: string
  readonly keys: string
  readonly warehouse: string
  readonly temporal: string
  readonly assets: string
  readonly subscriptions: string
  readonly cluster: string
}

/** Where everything listens; null until that part runs. */
export interface Addresses {
  readonly http: string | null
  readonly warehouse: string | null
  readonly grpc: string | null
  readonly temporal: string | null
}

const privateMode = 0o600
const sessionKeyBytes = 32

const isMissing = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT'

export const dataFolder = (path: string): DataFolder => {
  const at = resolve(path)
  const part = (name: string) => join(at, name)
  return {
    path: at,
    ledger: part('ledger'),
    keys: part('keys'),
    warehouse: part('warehouse'),
    temporal: part('temporal'),
    assets: part('assets'),
    subscriptions: part('subscriptions'),
    cluster: part('cluster'),
  }
}

/** Creates the folder if it is missing. @throws EvidenceError DATA_FOLDER_INVALID. */
export async function openDataFolder(path: string): Promise<DataFolder> {
  const folder = dataFolder(path)
  const refuse = (detail: string, cause?: unknown) =>
    new EvidenceError(
      'DATA_FOLDER_INVALID',
      `${folder.path} cannot be the data folder: ${detail}`,
      { cause },
    )
  try {
    await mkdir(folder.path, { recursive: true, mode: 0o700 })
    for (const part of [folder.ledger, folder.keys])
      await mkdir(part, { recursive: true, mode: 0o700 })
    const found = await stat(folder.path)
    if (!found.isDirectory()) throw refuse('it is not a folder')
  } catch (error) {
    if (error instanceof EvidenceError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw refuse(`it cannot be made or written (${code})`, error)
  }
  return folder
}

/** Replaces a file whose content only its owner may read: synced before it takes its name. */
async function replacePrivately(path: string, text: string | Uint8Array): Promise<void> {
  const fresh = `${path}.new`
  await rm(fresh, { force: true })
  const file = await open(fresh, 'wx', privateMode)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
}

const tokenFile = ({ path }: DataFolder) => join(path, 'admin.token')
const addressesFile = ({ path }: DataFolder) => join(path, 'addresses.json')

export const writeAdminToken = (folder: DataFolder, token: string): Promise<void> =>
  replacePrivately(tokenFile(folder), `${token}\n`)

/** The administrator's token as the first start wrote it; undefined when the file is gone. */
export async function readAdminToken(folder: DataFolder): Promise<string | undefined> {
  try {
    return (await readFile(tokenFile(folder), 'utf8')).trim()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** The key that seals browser sessions; without it every session has to sign in again. */
export async function sessionKey(folder: DataFolder): Promise<Uint8Array> {
  const path = join(folder.keys, 'session.key')
  const key = await readFile(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })
  if (key?.length === sessionKeyBytes) return key
  const fresh = randomBytes(sessionKeyBytes)
  await replacePrivately(path, fresh)
  return fresh
}

export const publishAddresses = (
  folder: DataFolder,
  addresses: Addresses | { readonly witness: string },
): Promise<void> => replacePrivately(addressesFile(folder), `${JSON.stringify(addresses)}\n`)

export const withdrawAddresses = (folder: DataFolder): Promise<void> =>
  rm(addressesFile(folder), { force: true })

/** Where a running service listens; undefined when none says that it runs. */
export async function readAddresses(folder: DataFolder): Promise<Addresses | undefined> {
  try {
    return JSON.parse(await readFile(addressesFile(folder), 'utf8')) as Addresses
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined
    throw error
  }
}
