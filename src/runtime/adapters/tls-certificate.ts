import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import {
  alternative,
  basicConstraints,
  certify,
  der,
  extendedKeyUsage,
  extension,
  keyUsage,
  sequence,
  serverAuth,
  subjectAltName,
  yes,
} from './x509.js'

export interface TlsFiles {
  readonly certificate: Uint8Array
  readonly key: Uint8Array
}

/** What clients are given to know the server by. */
export const authorityFile = 'grpc-ca.crt'
const certificateFile = 'grpc.crt'
const keyFile = 'grpc.key'
/** A certificate that ends within this time is made anew at a start. */
const renewMs = 365 * 24 * 3_600_000

/** @throws EvidenceError CONFIGURATION_INVALID. */
export async function readTlsFiles(certificate: string, key: string): Promise<TlsFiles> {
  try {
    return { certificate: await readFile(certificate), key: await readFile(key) }
  } catch (cause) {
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      `the certificate ${certificate} or its key ${key} cannot be read`,
      { cause },
    )
  }
}

/**
 * The certificate with which the server is known on this machine, made when there is none for its names.
 * It is signed by an authority whose key is forgotten at once: nobody can sign another.
 */
export async function ownTlsFiles(folder: string, host: string, nowMs: number): Promise<TlsFiles> {
  const paths = [authorityFile, certificateFile, keyFile].map((name) => join(folder, name))
  const [authority = '', certificate = '', key = ''] = paths
  const names = namesOf(host)
  try {
    const found = { certificate: await readFile(certificate), key: await readFile(key) }
    await readFile(authority)
    if (isGood(found.certificate, names, nowMs)) return found
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  const made = makeCertificates(names, nowMs)
  // The certificate comes last: a crash before it leaves no pair that is taken for whole.
  await replace(key, made.key)
  await replace(authority, made.authority)
  await replace(certificate, made.certificate)
  return { certificate: Buffer.from(made.certificate), key: Buffer.from(made.key) }
}

/** Takes the place of a file that only its owner may read. */
export async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await chmod(`${path}.new`, 0o600)
  await rename(`${path}.new`, path)
}

const namesOf = (host: string): readonly string[] => [
  ...new Set([
    'localhost',
    '127.0.0.1',
    '::1',
    ...(/^[A-Za-z0-9.-]+$/.test(hostname()) ? [hostname()] : []),
    ...(['0.0.0.0', '::', ''].includes(host) ? [] : [host]),
  ]),
]

function isGood(pem: Uint8Array, names: readonly string[], nowMs: number): boolean {
  const certificate = new X509Certificate(pem)
  return (
    Date.parse(certificate.validTo) - nowMs > renewMs &&
    names.every((name) =>
      isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name),
    )
  )
}

function makeCertificates(names: readonly string[], nowMs: number) {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  // Clocks of clients may be behind.
  const fromMs = nowMs - 24 * 3_600_000
  const issuer = `FractalOps Ledger ${randomBytes(4).toString('hex')}`
  const common = { issuer, signer: authority.privateKey, fromMs }
  return {
    authority: certify({
      ...common,
      subject: issuer,
      publicKey: authority.publicKey,
      extensions: [
        extension(basicConstraints, true, sequence(yes, der(0x02, Buffer.from([0])))),
        extension(keyUsage, true, der(0x03, Buffer.from([2, 0x04]))),
      ],
    }),
    certificate: certify({
      ...common,
      subject: 'localhost',
      publicKey: server.publicKey,
      extensions: [
        extension(basicConstraints, true, sequence()),
        extension(keyUsage, true, der(0x03, Buffer.from([7, 0x80]))),
        extension(extendedKeyUsage, false, sequence(serverAuth)),
        extension(subjectAltName, false, sequence(...names.map(alternative))),
      ],
    }),
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
