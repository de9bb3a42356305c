import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replace } from './tls-certificate.js'
import {
  basicConstraints,
  certify,
  clientAuth,
  extendedKeyUsage,
  extension,
  sequence,
} from './x509.js'

/** By what this process is known to a ledger in another one. */
export interface WorkerIdentity {
  /** PEM. */
  readonly certificate: Uint8Array
  readonly key: Uint8Array
  /** What is enrolled: SHA-256 of the public key (SubjectPublicKeyInfo, DER). */
  readonly publicKeySha256: string
}

export const workerCertificateFile = 'worker.crt'
const keyFile = 'worker.key'

/**
 * The certificate of this process, made when there is none. It signs itself: the ledger knows keys, not who
 * vouches for them. The key never leaves its file.
 */
export async function ownWorkerIdentity(folder: string, nowMs: number): Promise<WorkerIdentity> {
  const certificatePath = join(folder, workerCertificateFile)
  const keyPath = join(folder, keyFile)
  const present = await readPair(certificatePath, keyPath)
  if (present !== undefined) return present
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = 'FractalOps worker'
  const certificate = certify({
    subject,
    issuer: subject,
    publicKey: pair.publicKey,
    signer: pair.privateKey,
    // The clock of the ledger may be behind.
    fromMs: nowMs - 24 * 3_600_000,
    extensions: [
      extension(basicConstraints, true, sequence()),
      extension(extendedKeyUsage, false, sequence(clientAuth)),
    ],
  })
  // The certificate comes last: a crash before it leaves no pair that is taken for whole.
  await replace(keyPath, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  await replace(certificatePath, certificate)
  const made = await readPair(certificatePath, keyPath)
  if (made === undefined) throw new TypeError('a certificate was written and is not there')
  return made
}

async function readPair(certificatePath: string, keyPath: string) {
  try {
    const [certificate, key] = [await readFile(certificatePath), await readFile(keyPath)]
    const { publicKey } = new X509Certificate(certificate)
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    return { certificate, key, publicKeySha256: createHash('sha256').update(spki).digest('hex') }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
