import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { dirname } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import { base64Of, bytesOfBase64, concatBytes } from '../encoding.js'
import { nodeCrypto } from '../node-crypto.js'
import { ed25519Note, formatVkey, keyIdOf, type KeyType, type NoteSigner } from '../note.js'
import type { SigningKeys } from '../signing-keys.js'
import { type FilePort, nodeFiles, replaceFile } from './file-port.js'

const keyHead = 'PRIVATE+KEY+'
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

const unusable = (path: string, detail: string, cause?: unknown) =>
  new EvidenceError('KEY_FILE_INVALID', `the key file ${path} cannot be used: ${detail}`, {
    cause,
    details: { path },
  })

/**
 * An Ed25519 note signer whose key is in a file: one line `PRIVATE+KEY+name+id+base64`, the form
 * that other transparency logs use. `mayCreate` only for a new ledger: an old one without its key
 * must not quietly go on under another.
 *
 * @throws EvidenceError KEY_FILE_INVALID.
 */
export async function openKeyFile(
  path: string,
  name: string,
  mayCreate: boolean,
  files: FilePort = nodeFiles,
  type: KeyType = ed25519Note,
): Promise<NoteSigner> {
  const text = await readKey(files, path)
  if (text !== undefined) {
    // Who made it may have been killed before its name was synced, and it is about to be used.
    if (mayCreate) await files.syncFolder(dirname(path))
    return parseKey(path, text, name, type)
  }
  if (!mayCreate) throw unusable(path, 'it is missing, and this ledger was signed with it before')
  const { privateKey } = generateKeyPairSync('ed25519')
  await files.createFolder(dirname(path))
  // If we stop before the rename, the next start finds no key and makes another: none was used yet.
  await replaceFile(files, path, Buffer.from(formatKey(privateKey, name, type)))
  return signerOf(privateKey, name, type)
}

/** The keys of a ledger in files: the present one at `path`, the one that waits beside it. */
export function keyFiles(
  path: string,
  files: FilePort = nodeFiles,
): SigningKeys & {
  /** Makes the key that is to follow, or finds the one that was made. @throws EvidenceError KEY_FILE_INVALID. */
  prepareNext(origin: string): Promise<NoteSigner>
} {
  const nextPath = `${path}.next`
  return {
    present: (origin, mayCreate) => openKeyFile(path, origin, mayCreate, files),
    async next(origin) {
      const text = await readKey(files, nextPath)
      if (text === undefined) return undefined
      // Who made it may have been killed before its name was synced.
      await files.syncFolder(dirname(path))
      return parseKey(nextPath, text, origin, ed25519Note)
    },
    async advance() {
      await files.rename(nextPath, path)
      await files.syncFolder(dirname(path))
    },
    async prepareNext(origin) {
      // The name of the key before must not be lost to that of this one.
      await files.syncFolder(dirname(path))
      return openKeyFile(nextPath, origin, true, files)
    },
  }
}

async function readKey(files: FilePort, path: string): Promise<string | undefined> {
  try {
    const mode = await files.modeOf(path)
    if (mode === undefined) return undefined
    if ((mode & 0o077) !== 0) {
      throw unusable(
        path,
        `others may read or change it (mode ${mode.toString(8).padStart(4, '0')})`,
      )
    }
    const bytes = await files.readWhole(path)
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
  } catch (error) {
    if (error instanceof EvidenceError) throw error
    throw unusable(path, 'it cannot be read', error)
  }
}

const publicBytes = (key: KeyObject): Uint8Array =>
  Uint8Array.from(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32))

function formatKey(key: KeyObject, name: string, type: KeyType): string {
  const seed = key.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  const id = keyIdOf(nodeCrypto.sha256, name, publicBytes(key), type)
  return `${keyHead}${name}+${id}+${base64Of(concatBytes(Uint8Array.of(type), seed))}\n`
}

function parseKey(path: string, text: string, name: string, type: KeyType): NoteSigner {
  const [, keyName, id, encoded] =
    /^PRIVATE\+KEY\+([^+\n]+)\+([0-9a-f]{8})\+([^\n]+)\n$/.exec(text) ?? []
  if (keyName === undefined || encoded === undefined)
    throw unusable(path, 'it is not one line PRIVATE+KEY+name+id+base64')
  if (keyName !== name) throw unusable(path, `it is the key of ${keyName}, not of ${name}`)
  const bytes = keyBytes(path, encoded)
  if (bytes[0] !== type || bytes.length !== 33)
    throw unusable(
      path,
      `it is not an Ed25519 key of ${type === ed25519Note ? 'a log' : 'a witness'}`,
    )
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, bytes.subarray(1)]),
    format: 'der',
    type: 'pkcs8',
  })
  if (keyIdOf(nodeCrypto.sha256, name, publicBytes(key), type) !== id)
    throw unusable(path, 'its id does not belong to its key')
  return signerOf(key, name, type)
}

function keyBytes(path: string, encoded: string): Uint8Array {
  try {
    return bytesOfBase64(encoded)
  } catch (cause) {
    throw unusable(path, 'its last part is not base64', cause)
  }
}

const signerOf = (key: KeyObject, name: string, type: KeyType): NoteSigner => ({
  name,
  vkey: formatVkey(nodeCrypto.sha256, name, publicBytes(key), type),
  sign: (message) => sign(null, message, key),
})
