import { join } from 'node:path'
import { createGroups } from '../grouped.mjs'
import { peerPackage } from '../peers.mjs'
import { createChain, idBytes } from '../same-work.mjs'

export const about =
  'LMDB (lmdb), one write transaction for all that waits, answered once it is flushed; the same salts, digests, leaves and chains; ids checked and indexed, (stream, revision) indexed; no tree'

const positionKey = (position) => {
  const key = Buffer.allocUnsafe(8)
  key.writeBigUInt64BE(BigInt(position))
  return key
}

const streamKey = (stream, revision) => {
  const key = Buffer.allocUnsafe(8)
  key.writeUInt32BE(stream)
  key.writeUInt32BE(revision, 4)
  return key
}

export async function open(folder) {
  const { module: lmdb, version } = peerPackage('lmdb')
  const binary = { encoding: 'binary', keyEncoding: 'binary' }
  const root = lmdb.open({ path: join(folder, 'events.lmdb'), maxDbs: 4, noMemInit: true })
  const events = root.openDB({ name: 'events', ...binary })
  const ids = root.openDB({ name: 'ids', ...binary })
  const byStream = root.openDB({ name: 'streams', ...binary })
  const place = createChain()
  const streams = new Map()
  const streamId = (name) => {
    let id = streams.get(name)
    if (id === undefined) streams.set(name, (id = streams.size))
    return id
  }
  const keep = (stream, draft) => {
    const id = idBytes(draft.id)
    if (ids.doesExist(id)) throw new Error(`the id ${draft.id} is taken`)
    const one = place(stream, draft)
    const key = positionKey(one.position)
    const lengths = Buffer.allocUnsafe(8)
    lengths.writeUInt32BE(one.leafBytes.length)
    lengths.writeUInt32BE(draft.data.length, 4)
    const { leafBytes, leafHash, dataSalt, metadataSalt } = one
    events.put(
      key,
      Buffer.concat([
        lengths,
        leafHash,
        leafBytes,
        dataSalt,
        metadataSalt,
        draft.data,
        draft.metadata,
      ]),
    )
    ids.put(id, key)
    byStream.put(streamKey(streamId(stream), one.revision), key)
  }
  const commit = async (requests) => {
    await root.transaction(() => {
      for (const { stream, drafts } of requests) for (const draft of drafts) keep(stream, draft)
    })
    await root.flushed
  }
  return {
    version: `lmdb ${version}`,
    append: createGroups(commit),
    count: async () => events.getStats().entryCount,
    has: async (id) => ids.doesExist(idBytes(id)),
    close: () => root.close(),
  }
}
