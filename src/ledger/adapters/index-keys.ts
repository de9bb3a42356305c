import { hash } from 'node:crypto'

/** A 128-bit key of the index as four 32-bit words, the most significant first. */
export type IndexKey = Uint32Array

export const secretBytes = 32
const rounds = 8

/**
 * Makes the keys under which the index files ids, streams and types. They depend on a secret of the
 * index, so nobody can choose names that collide, that crowd one page or that defeat a filter; and they
 * are spread evenly, which sorting counts on.
 */
export interface IndexKeys {
  /** One to one: different ids never have the same key. The key is good until the next call. */
  ofId(id: string): IndexKey
  readonly ofStream: (project: string, stream: string) => IndexKey
  readonly ofType: (project: string, type: string) => IndexKey
}

export function createIndexKeys(secret: Uint8Array): IndexKeys {
  const seeds = Array.from({ length: rounds }, (_, i) =>
    Buffer.from(secret.buffer, secret.byteOffset, secretBytes).readUInt32LE(4 * i),
  )
  const label = Buffer.from(secret).toString('hex')
  const ofName = (kind: string, project: string, name: string): IndexKey => {
    const digest = hash('sha256', `${label}${kind}\n${project}\n${name}`, 'buffer')
    return Uint32Array.of(
      digest.readUInt32LE(0),
      digest.readUInt32LE(4),
      digest.readUInt32LE(8),
      digest.readUInt32LE(12),
    )
  }
  // Asked for every event, twice: memory of its own each time would cost more than the key.
  const ofId = new Uint32Array(4)
  return {
    ofId: (id) => scramble(wordsOfUuid(id, ofId), seeds),
    ofStream: (project, stream) => ofName('stream', project, stream),
    ofType: (project, type) => ofName('type', project, type),
  }
}

/** The 32 hex digits of a UUID as four numbers. */
function wordsOfUuid(id: string, words: Uint32Array): IndexKey {
  let word = 0
  for (let at = 0, digits = 0; at < id.length; at += 1) {
    const code = id.charCodeAt(at)
    if (code === 45) continue
    word = (word << 4) | (code < 58 ? code - 48 : code - 87)
    digits += 1
    if (digits % 8 === 0) words[digits / 8 - 1] = word
  }
  return words
}

/** A keyed permutation: each round changes one word by what the other three and the secret say. */
function scramble(key: IndexKey, seeds: readonly number[]): IndexKey {
  let a = key[0] ?? 0
  let b = key[1] ?? 0
  let c = key[2] ?? 0
  let d = key[3] ?? 0
  for (const seed of seeds) {
    let h = (b ^ seed) + Math.imul(c, 0x9e3779b1) + Math.imul(d, 0x7feb352d)
    h ^= h >>> 16
    h = Math.imul(h, 0x85ebca6b)
    h ^= h >>> 13
    h = Math.imul(h, 0xc2b2ae35)
    h ^= h >>> 16
    const changed = a ^ h
    a = b
    b = c
    c = d
    d = changed
  }
  key[0] = a
  key[1] = b
  key[2] = c
  key[3] = d
  return key
}
