import type { Leaf } from '../../contracts/leaf.js'
import { hexOf, textOf } from '../encoding.js'
import type { SaltedBytes } from '../event-store.js'
import { dataDigest, metadataDigest, parseLeaf } from '../leaf.js'
import { nodeCrypto } from '../node-crypto.js'
import { leafHashOf } from './recovery.js'

/** Follows the leaves in order and tells everything about them that does not follow. */
export interface LeafChain {
  /** Tells what is wrong with the leaf itself and its place; `tell` is called once per flaw. */
  leaf(
    bytes: Uint8Array,
    tell: (flaw: string) => void,
  ): { readonly leaf: Leaf | undefined; readonly leafHash: Uint8Array }
  /** Leaves are missing here: what stood before says nothing about what comes. */
  gap(): void
}

interface StreamHead {
  readonly revision: number
  readonly leafHash: string
}

export function createLeafChain(): LeafChain {
  const ids = new Set<string>()
  let heads = new Map<string, StreamHead>()
  let typeSizes = new Map<string, number>()
  let lastTime = ''
  let afterGap = false

  const checkStream = (leaf: Leaf, leafHash: Uint8Array, tell: (flaw: string) => void) => {
    const key = `${leaf.project}\n${leaf.stream}`
    const head = heads.get(key)
    const revision = Number(leaf.revision)
    // After a gap the first leaf of a stream is taken as it is: its neighbour may be what is missing.
    if (head !== undefined || !afterGap) {
      const expected = head === undefined ? 0 : head.revision + 1
      if (revision !== expected)
        tell(`revision is ${revision}, the stream ${leaf.stream} is at ${expected}`)
      if (leaf.prev !== (head?.leafHash ?? null))
        tell(`prev does not name the event before it in ${leaf.stream}`)
    }
    heads.set(key, { revision, leafHash: hexOf(leafHash) })
  }

  const checkType = (leaf: Leaf, tell: (flaw: string) => void) => {
    const key = `${leaf.project}\n${leaf.type}`
    const expected = typeSizes.get(key) ?? (afterGap ? undefined : 0)
    const typeSeq = Number(leaf.type_seq)
    if (expected !== undefined && typeSeq !== expected)
      tell(`type_seq is ${typeSeq}, ${leaf.type} is at ${expected}`)
    typeSizes.set(key, typeSeq + 1)
  }

  return {
    leaf(bytes, tell) {
      const leafHash = leafHashOf(bytes)
      let leaf: Leaf
      try {
        leaf = parseLeaf(textOf(bytes))
      } catch (error) {
        tell(error instanceof Error ? error.message : String(error))
        return { leaf: undefined, leafHash }
      }
      if (ids.has(leaf.id)) tell(`the id ${leaf.id} stands on the ledger twice`)
      ids.add(leaf.id)
      if (leaf.time < lastTime) tell(`ledger time goes back from ${lastTime} to ${leaf.time}`)
      lastTime = leaf.time
      checkStream(leaf, leafHash, tell)
      checkType(leaf, tell)
      return { leaf, leafHash }
    },
    gap() {
      heads = new Map()
      typeSizes = new Map()
      afterGap = true
    },
  }
}

/** Makes the digests anew from salts and bytes and compares them with the leaf. */
export function checkDigests(
  leaf: Leaf,
  payload: { readonly data: SaltedBytes | null; readonly metadata: SaltedBytes | null },
  tell: (flaw: string) => void,
): void {
  const { data, metadata } = payload
  if (
    data !== null &&
    hexOf(dataDigest(nodeCrypto.sha256, data.salt, data.bytes)) !== leaf.data_sha256
  ) {
    tell('the data does not match its digest in the leaf')
  }
  if (
    metadata !== null &&
    hexOf(metadataDigest(nodeCrypto.sha256, metadata.salt, metadata.bytes)) !== leaf.metadata_sha256
  ) {
    tell('the metadata does not match its digest in the leaf')
  }
}
