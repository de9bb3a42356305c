// What makes an event provable, done for stores that know nothing of it: two salts, two digests, the
// leaf text and its hash, the chain of each stream, and dense numbers. Written for speed, so that a peer
// loses nothing here.
import { hash, randomFillSync } from 'node:crypto'
import { project } from './events.mjs'

const leafPrefix = 'fractalops/leaf/1\n'
const dataLabel = Buffer.from('fractalops/data/1\0')
const metadataLabel = Buffer.from('fractalops/metadata/1\0')
const leafMark = Buffer.from([0])

/** Salts and digests of one event: all that does not depend on its place. */
export function salted({ data, metadata }) {
  const salts = randomFillSync(Buffer.allocUnsafeSlow(64))
  const dataSalt = salts.subarray(0, 32)
  const metadataSalt = salts.subarray(32)
  return {
    dataSalt,
    metadataSalt,
    dataSha256: hash('sha256', Buffer.concat([dataLabel, dataSalt, data]), 'hex'),
    metadataSha256: hash('sha256', Buffer.concat([metadataLabel, metadataSalt, metadata]), 'hex'),
  }
}

/** Gives events their places, one after the other. A store keeps what it answers. */
export function createChain() {
  const heads = new Map()
  const typeSizes = new Map()
  let position = 0
  return (stream, draft) => {
    const prepared = salted(draft)
    let head = heads.get(stream)
    if (head === undefined) heads.set(stream, (head = { size: 0, prev: null }))
    const typeSeq = typeSizes.get(draft.type) ?? 0
    typeSizes.set(draft.type, typeSeq + 1)
    const revision = head.size
    const leaf =
      leafPrefix +
      JSON.stringify({
        actor: draft.actor,
        content_type: draft.contentType,
        data_sha256: prepared.dataSha256,
        id: draft.id,
        metadata_sha256: prepared.metadataSha256,
        prev: head.prev,
        project,
        revision: String(revision),
        stream,
        time: new Date().toISOString(),
        type: draft.type,
        type_seq: String(typeSeq),
        version: draft.version,
        writer: draft.writer,
      })
    const leafBytes = Buffer.from(leaf)
    const leafHash = hash('sha256', Buffer.concat([leafMark, leafBytes]), 'buffer')
    head.size = revision + 1
    head.prev = leafHash.toString('hex')
    return { ...prepared, position: position++, revision, leafBytes, leafHash }
  }
}

export const idBytes = (id) => Buffer.from(id.replaceAll('-', ''), 'hex')
