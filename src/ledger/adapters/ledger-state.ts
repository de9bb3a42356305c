import { EvidenceError } from '../../contracts/errors.js'
import type { FilePort } from './file-port.js'
import type { IndexLimits } from './index-flush.js'
import { dropManifest } from './index-manifest.js'
import {
  indexFolder,
  indexLimits,
  type IndexStore,
  memoryStore,
  openIndexStore,
  openIndexView,
} from './index-store.js'
import type { KeptCheckpoints } from './kept-checkpoints.js'
import { IndexUnfit, type Replayed, replay } from './recovery.js'

/** Index and tree as they are after all of the journal was taken in. */
export interface LedgerState {
  readonly store: IndexStore
  readonly replayed: Replayed
}

export interface StateOptions {
  readonly files: FilePort
  readonly folder: string
  readonly origin: string
  readonly kept: KeptCheckpoints
}

/**
 * Opens the index and takes in what it lacks. An index that is damaged, or that does not fit what
 * stands in the journal, is made anew: only the journal and the kept checkpoints are truth.
 *
 * @throws EvidenceError JOURNAL_DAMAGED.
 */
export async function openState(
  options: StateOptions & {
    readonly limits: Partial<IndexLimits>
    readonly onFailure: (cause: unknown) => void
    readonly onRebuild: (reason: string) => void
  },
): Promise<LedgerState> {
  const { files, folder, kept, onRebuild } = options
  const open = () => openIndexStore({ ...options, limits: { ...indexLimits, ...options.limits } })
  const first = await attempt(open, (store) => replay({ ...options, store, kept, repair: true }))
  if ('store' in first) return first
  onRebuild(first.reason)
  await files.createFolder(indexFolder(folder))
  await dropManifest(files, indexFolder(folder))
  const store = await open()
  try {
    return { store, replayed: await replay({ ...options, store, kept, repair: true }) }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Opens the index to look at the ledger. Without a sound one everything is kept in memory. @throws EvidenceError JOURNAL_DAMAGED. */
export async function openStateView(options: StateOptions): Promise<LedgerState> {
  const open = async () => {
    const found = await openIndexView({
      ...options,
      limits: indexLimits,
      onFailure: () => undefined,
    })
    return found ?? memoryStore()
  }
  const first = await attempt(open, (store) => replay({ ...options, store, repair: false }))
  if ('store' in first) return first
  const store = memoryStore()
  return { store, replayed: await replay({ ...options, store, repair: false }) }
}

/** An attempt with the index that is there. What may be the fault of the index answers a reason to do without it. */
async function attempt(
  open: () => Promise<IndexStore>,
  read: (store: IndexStore) => Promise<Replayed>,
): Promise<LedgerState | { readonly reason: string }> {
  let store: IndexStore | undefined
  try {
    store = await open()
    return { store, replayed: await read(store) }
  } catch (error) {
    const hadIndex = store === undefined || store.manifest !== undefined
    await store?.close()
    const isOurs = error instanceof IndexUnfit || error instanceof EvidenceError
    if (!hadIndex || !isOurs) throw error
    return { reason: error.message }
  }
}
