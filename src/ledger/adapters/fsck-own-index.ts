import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { boundedCache } from './bounded-cache.js'
import { nodeFiles } from './file-port.js'
import type { ChainLeaf, LeafChain, TellFlaw } from './fsck-chain.js'
import { indexLimits, openIndexStore } from './index-store.js'
import { namesOf } from './recent-events.js'

/** Ends of streams and types that are remembered behind a gap. */
const endsMax = 65_536

/** Where nothing stands: this index is thrown away and never opened again. */
const noMark = () => ({
  segments: [],
  group: { offset: 0, position: 0 },
  last_time_ms: 0,
  clock_alarm: false,
})

export interface OwnIndexChain extends LeafChain {
  close(): Promise<void>
}

/**
 * A chain over an index of its own in a temporary folder, for a journal that has none to be trusted:
 * memory stays bounded, the disk takes about 150 bytes an event meanwhile.
 */
export async function createOwnIndexChain(origin: string): Promise<OwnIndexChain> {
  const folder = join(tmpdir(), `fractalops-fsck-${randomBytes(8).toString('hex')}`)
  let failure: unknown
  const store = await openIndexStore({
    files: nodeFiles,
    folder,
    origin,
    limits: indexLimits,
    onFailure: (cause) => (failure = cause),
  })
  const { index, tree } = store
  let afterGap = false
  // After a gap the own index knows ends that may no longer be the last.
  const seen = boundedCache<string, true>(endsMax)

  const checkEnds = async ({ leaf }: ChainLeaf, tell: TellFlaw) => {
    const { project, stream, type, revision, type_seq } = leaf
    const isKnown = (key: string) => !afterGap || seen.get(key) === true
    const streamKey = `s${project}\n${stream}`
    const typeKey = `t${project}\n${type}`
    const head = await index.headOf(project, stream)
    if (isKnown(streamKey)) {
      if (Number(revision) !== head.size)
        tell(`revision is ${revision}, the stream ${stream} is at ${head.size}`)
      if (leaf.prev !== head.prev) tell(`prev does not name the event before it in ${stream}`)
    }
    const typeSize = await index.typeSize(project, type)
    if (isKnown(typeKey) && Number(type_seq) !== typeSize)
      tell(`type_seq is ${type_seq}, ${type} is at ${typeSize}`)
    if (!afterGap) return
    seen.set(streamKey, true)
    seen.set(typeKey, true)
  }

  return {
    async check(one, tell) {
      if (failure !== undefined) throw new Error('the index cannot be kept', { cause: failure })
      const { leaf, leafHash } = one
      if ((await index.positionOf(leaf.id)) !== undefined)
        tell(`the id ${leaf.id} stands on the ledger twice`)
      await checkEnds(one, tell)
      const nowhere = { segment: 0, offset: 0, bytes: 0 }
      const hash = Buffer.from(leafHash).toString('hex')
      index.add(nowhere, namesOf(leaf), Number(leaf.revision), Number(leaf.type_seq), hash)
      tree.append(leafHash)
    },
    gap() {
      afterGap = true
      seen.clear()
    },
    async endGroup() {
      store.endGroup(noMark)
      tree.fold()
      await store.room()
    },
    isWhole: true,
    async close() {
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
