import {
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'

export interface TlsFiles {
  readonly certificate: Uint8Array
  readonly key: Uint8Array
}

/** What clients are given to know the server by. */
export const authorityFile = 'grpc-ca.crt'
const certificateFile = 'grpc.crt'
const keyFile = 'grpc.key'
const validYears = 10
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

async function replace(path: string, text: string): Promise<void> {
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

/** DER, as far as a certificate needs it. */
const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}
const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts)
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const yes = der(0x01, Buffer.from([0xff]))
const utcTime = (ms: number): Buffer => {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  // Years from 2050 on are told in four digits.
  return Number(digits.slice(0, 4)) < 2050
    ? der(0x17, Buffer.from(digits.slice(2)))
    : der(0x18, Buffer.from(digits))
}
const nameOf = (commonName: string) =>
  sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(commonName)))))
const extension = (id: string, critical: boolean, value: Uint8Array) =>
  sequence(oid(id), ...(critical ? [yes] : []), der(0x04, value))

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const basicConstraints = '551d13'
const keyUsage = '551d0f'
const extendedKeyUsage = '551d25'
const subjectAltName = '551d11'
const serverAuth = '2b06010505070301'

/** Addresses as bytes; a part of `::` form is filled with zeros. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const [left, right] = [groups(head), groups(tail)]
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return Buffer.from(
    [...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join(''),
    'hex',
  )
}

const alternative = (name: string) =>
  isIP(name) === 0 ? der(0x82, Buffer.from(name)) : der(0x87, addressBytes(name))

function certify(request: {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly fromMs: number
  readonly extensions: readonly Uint8Array[]
}): string {
  const { subject, issuer, publicKey, signer, fromMs, extensions } = request
  // Positive and never beginning with a zero byte.
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  const until = new Date(fromMs)
  until.setUTCFullYear(until.getUTCFullYear() + validYears)
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    nameOf(issuer),
    sequence(utcTime(fromMs), utcTime(until.getTime())),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const signature = sign('sha256', body, signer)
  const whole = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
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
        extension(extendedKeyUsage, false, sequence(oid(serverAuth))),
        extension(subjectAltName, false, sequence(...names.map(alternative))),
      ],
    }),
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
