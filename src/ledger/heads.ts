import { EvidenceError } from '../contracts/errors.js'
import { headLabel, headsNodeLabel, streamKeyLabel, typeKeyLabel } from '../contracts/heads.js'
import { concatBytes, equalBytes, hexOf, utf8 } from './encoding.js'
import type { Sha256 } from './merkle.js'

/** The last event of a stream (`number` is its revision) or of a type (`number` is its `type_seq`). */
export interface Head {
  /** 32 bytes; where the head stands in the map, most significant bit first. */
  readonly key: Uint8Array
  readonly number: number
  /** RFC 6962 leaf hash of that event. */
  readonly leafHash: Uint8Array
}

/**
 * A subtree of the map: nothing, one head, or more. The hash of one head does not depend on how deep
 * it hangs, so that a map of n heads is about log2(n) deep and not 256.
 */
export interface Subheads {
  readonly hash: Uint8Array
  readonly holds: 'none' | 'one' | 'more'
}

/** Leads from the root down to where a key is, or would be. */
export interface HeadProof {
  /** Hashes beside the way, from the root downwards; null where there is nothing. */
  readonly siblings: readonly (Uint8Array | null)[]
  /** Of an absent key: the only head under the end of the way, or null when there is none. */
  readonly other: Head | null
}

export const keyBits = 256
export const headHashBytes = 32

const nothing: Subheads = { hash: new Uint8Array(headHashBytes), holds: 'none' }
const labels = {
  stream: utf8(streamKeyLabel),
  type: utf8(typeKeyLabel),
  head: utf8(headLabel),
  node: utf8(headsNodeLabel),
}

/**
 * The place of a stream or type of a project: SHA-256(label ‖ bytes of the project as 16-bit number ‖
 * project ‖ name), numbers big-endian, texts UTF-8. The length keeps the two names apart.
 */
export function headKey(
  sha256: Sha256,
  kind: 'stream' | 'type',
  project: string,
  name: string,
): Uint8Array {
  const bytes = utf8(project)
  if (bytes.length > 0xffff) throw new RangeError('a project has at most 65,535 bytes')
  const length = Uint8Array.of(bytes.length >> 8, bytes.length & 255)
  return sha256(concatBytes(labels[kind], length, bytes, utf8(name)))
}

/** SHA-256(label ‖ key ‖ number as 64 bits, big-endian ‖ leaf hash). */
export function headHash(sha256: Sha256, { key, number, leafHash }: Head): Uint8Array {
  if (key.length !== headHashBytes || leafHash.length !== headHashBytes)
    throw new RangeError('key and leaf hash have 32 bytes')
  const written = new Uint8Array(8)
  new DataView(written.buffer).setBigUint64(0, BigInt(number))
  return sha256(concatBytes(labels.head, key, written, leafHash))
}

/** Joins the halves of a subtree; a lone head rises to where it is alone. */
export function joinHeads(sha256: Sha256, left: Subheads, right: Subheads): Subheads {
  if (left.holds === 'none' && right.holds !== 'more') return right
  if (right.holds === 'none' && left.holds !== 'more') return left
  return { hash: sha256(concatBytes(labels.node, left.hash, right.hash)), holds: 'more' }
}

/** Bit `at` of a key, counted from the most significant one. */
export const bitOf = (key: Uint8Array, at: number): 0 | 1 =>
  (((key[at >> 3] ?? 0) >> (7 - (at & 7))) & 1) === 1 ? 1 : 0

/** Where the heads whose bit `depth` is 1 begin. */
const middleOf = (heads: readonly Head[], depth: number): number => {
  const at = heads.findIndex(({ key }) => bitOf(key, depth) === 1)
  return at === -1 ? heads.length : at
}

/** The subtree of heads that share their first `depth` bits; they are sorted by key and differ in it. */
export function subheadsOf(sha256: Sha256, heads: readonly Head[], depth = 0): Subheads {
  const [first] = heads
  if (first === undefined) return nothing
  if (heads.length === 1) return { hash: headHash(sha256, first), holds: 'one' }
  if (depth >= keyBits) throw new RangeError('two heads have one key')
  const middle = middleOf(heads, depth)
  return joinHeads(
    sha256,
    subheadsOf(sha256, heads.slice(0, middle), depth + 1),
    subheadsOf(sha256, heads.slice(middle), depth + 1),
  )
}

/** Root of the map of these heads: sorted by key, no key twice. 32 zero bytes when there are none. */
export const headsRoot = (sha256: Sha256, heads: readonly Head[]): Uint8Array =>
  subheadsOf(sha256, heads).hash

/** The way of a key down through heads that share its first `depth` bits. */
export function proveHead(
  sha256: Sha256,
  heads: readonly Head[],
  key: Uint8Array,
  depth = 0,
): HeadProof {
  const siblings: (Uint8Array | null)[] = []
  let under = heads
  for (let at = depth; under.length > 1; at += 1) {
    const middle = middleOf(under, at)
    const halves = [under.slice(0, middle), under.slice(middle)] as const
    const bit = bitOf(key, at)
    const beside = subheadsOf(sha256, halves[bit === 0 ? 1 : 0], at + 1)
    siblings.push(beside.holds === 'none' ? null : beside.hash)
    under = halves[bit]
  }
  const [end] = under
  return { siblings, other: end === undefined || equalBytes(end.key, key) ? null : end }
}

const mismatch = (reason: string, details: Record<string, unknown> = {}) =>
  new EvidenceError('PROOF_MISMATCH', reason, { details })

/**
 * Checks that under `root` the key has this head, or none (`head` null). For one root and one key at
 * most one answer can be proven, whoever made the map.
 *
 * @throws EvidenceError PROOF_MISMATCH with the reason.
 */
export function verifyHead(
  sha256: Sha256,
  root: Uint8Array,
  key: Uint8Array,
  head: Pick<Head, 'number' | 'leafHash'> | null,
  proof: HeadProof,
): void {
  const { siblings, other } = proof
  if (siblings.length > keyBits)
    throw mismatch(`the way through the map has more than ${keyBits} steps`)
  // Heads rise to where they are alone: beside the end of a way there is always something.
  if (siblings.length > 0 && siblings.at(-1) === null)
    throw mismatch('the way through the map goes on where nothing is beside it')
  if (siblings.some((hash) => hash !== null && hash.every((byte) => byte === 0)))
    throw mismatch('a hash beside the way through the map is written out where nothing is')
  if (other !== null) checkOther(key, head, other, siblings.length)
  let hash =
    head !== null
      ? headHash(sha256, { key, number: head.number, leafHash: head.leafHash })
      : other !== null
        ? headHash(sha256, other)
        : nothing.hash
  for (let at = siblings.length - 1; at >= 0; at -= 1) {
    const beside = siblings[at] ?? nothing.hash
    hash = sha256(
      bitOf(key, at) === 0
        ? concatBytes(labels.node, hash, beside)
        : concatBytes(labels.node, beside, hash),
    )
  }
  if (!equalBytes(hash, root)) {
    throw mismatch('the way through the map does not lead to the root of the seal', {
      computed: hexOf(hash),
      expected: hexOf(root),
    })
  }
}

function checkOther(key: Uint8Array, head: object | null, other: Head, depth: number): void {
  if (head !== null) throw mismatch('the proof of a head in the map names another head')
  if (equalBytes(other.key, key))
    throw mismatch('the map holds the key that is said to be absent from it')
  for (let at = 0; at < depth; at += 1) {
    if (bitOf(key, at) !== bitOf(other.key, at))
      throw mismatch('the other head does not stand where the absent key would')
  }
}
