import { createPrivateKey, sign } from 'node:crypto'
import { formatCheckpoint } from '../../src/ledger/checkpoint.js'
import { consistencySubtrees, leafHash, root } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import {
  cosign,
  ed25519Cosignature,
  ed25519Note,
  formatNote,
  formatVkey,
  type KeyType,
  type NoteSigner,
  parseNote,
  signNote,
} from '../../src/ledger/note.js'

const { sha256 } = nodeCrypto
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/** A signer whose key follows from its name and `seed`, so that a test can be run again. */
export function signerOf(name: string, type: KeyType = ed25519Note, seed = name): NoteSigner {
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, sha256(Buffer.from(seed))]),
    format: 'der',
    type: 'pkcs8',
  })
  const publicKey = Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url')
  return {
    name,
    vkey: formatVkey(sha256, name, publicKey, type),
    sign: (message) => sign(null, message, key),
  }
}

export const witnessSigner = (name: string): NoteSigner => signerOf(name, ed25519Cosignature)

/** A log in memory: `fork` makes one that differs from leaf `fork` on. */
export function memoryLog(origin = 'example.org/log', fork = Number.POSITIVE_INFINITY) {
  const signer = signerOf(origin)
  const leaf = (i: number) => leafHash(sha256, Buffer.from(i < fork ? `${i}` : `other ${i}`))
  const leaves = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => leaf(from + i))
  const textOf = (size: number) =>
    formatCheckpoint({ origin, size, root: root(sha256, leaves(0, size)) })
  return {
    origin,
    vkey: signer.vkey,
    textOf,
    checkpoint: (size: number) => signNote(textOf(size), signer, sha256),
    consistency: (from: number, to: number) =>
      from === 0 || from === to
        ? []
        : consistencySubtrees(from, to).map(({ start, end }) => root(sha256, leaves(start, end))),
  }
}

/** The note with cosignatures added. */
export async function cosigned(
  note: string,
  witnesses: readonly NoteSigner[],
  timeSeconds = 1_790_000_000,
): Promise<string> {
  const { text, signatures } = parseNote(note)
  const lines = await Promise.all(
    witnesses.map((witness) => cosign(text, witness, timeSeconds, sha256)),
  )
  return formatNote({ text, signatures: [...signatures, ...lines] })
}
