import { hexOf } from '../encoding.js'
import type { LedgerFile } from './file-port.js'
import type { ChainIndex } from './fsck-chain.js'
import { lookUp, type Repeated } from './fsck-index.js'
import { createIndexKeys } from './index-keys.js'
import type { IndexOnDisk } from './index-store.js'
import { decodeLeaf, isFlaw } from './journal-format.js'
import { leafHashOf } from './recovery.js'

/** What an index on disk says to a chain. What cannot be read of it answers undefined: it is told elsewhere. */
export function chainIndexOver(
  index: IndexOnDisk,
  repeated: Repeated,
  fileOf: (segment: string) => Promise<LedgerFile | undefined>,
): ChainIndex {
  const { manifest } = index
  const keys = createIndexKeys(Buffer.from(manifest.secret, 'base64'))
  const readable = <Value>(reading: Promise<Value>): Promise<Value | undefined> =>
    reading.catch(() => undefined)

  const leafHash = async (position: number): Promise<string | undefined> => {
    const [place] = await index.places.read([position])
    const file = place && (await fileOf(manifest.segments[place.segment]?.name ?? ''))
    if (place === undefined || file === undefined) return undefined
    const bytes = Buffer.alloc(place.bytes)
    const got = await file.read(bytes, place.offset)
    const part = decodeLeaf(bytes.subarray(0, got), 0)
    if (isFlaw(part) || part.position !== position) return undefined
    return hexOf(leafHashOf(part.leaf))
  }

  return {
    through: manifest.through,
    repeated,
    find: (kind, project, name, number) => {
      const key = kind === 'stream' ? keys.ofStream(project, name) : keys.ofType(project, name)
      return readable(lookUp(index, key, number))
    },
    positionOf: async (id) => (await readable(lookUp(index, keys.ofId(id), 0)))?.position,
    leafHash: (position) => readable(leafHash(position)),
  }
}
