import { join } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import type { EventReader, EventStore, ProofSource, PublishedCheckpoint } from '../event-store.js'
import { nodeCrypto } from '../node-crypto.js'
import type { PayloadEraser } from '../erasure.js'
import { parseNote, verifyNote } from '../note.js'
import type { RawLeafWriter } from '../raw-leaf.js'
import {
  type KeyChange,
  keysAt,
  type LedgerKey,
  presentKey,
  type SigningKeys,
} from '../signing-keys.js'
import type { TileSource } from '../tiles.js'
import {
  type CheckpointPublisher,
  checkpointIntervalMs,
  createCheckpointPublisher,
} from './checkpoint-publisher.js'
import { type CommitQueue, createCommitQueue, overlapEventsMin } from './commit-queue.js'
import { createDigestThread, type DigestThread } from './digest-thread.js'
import { type DiskReserve, noReserve, openDiskReserve } from './disk-reserve.js'
import { findErasure } from './erasure-recovery.js'
import { createHeadSignal, createReading, type HeadSignal } from './event-pages.js'
import { type FilePort, nodeFiles } from './file-port.js'
import { type FolderLock, lockFolder } from './folder-lock.js'
import { createJournalAppends, type SettledAppends } from './journal-appends.js'
import type { JournalIndex } from './journal-index.js'
import { createJournalWriter, segmentBytesMax } from './journal-writer.js'
import { keyFiles } from './key-file.js'
import { type LedgerKeys, openLedgerKeys } from './ledger-keys.js'
import { type KeptCheckpoints, keptDamage, openKeptCheckpoints } from './kept-checkpoints.js'
import { type Alarm, createLedgerClock } from './ledger-clock.js'
import { claimFolder, readIdentity } from './ledger-folder.js'
import { createLeafReader } from './leaf-reader.js'
import { proofsOf, publishedOf } from './kept-proofs.js'
import { type PatchedFiles, patchedFiles } from './patched-files.js'
import { createRecordReader } from './record-reader.js'
import type { CutTail, Replayed } from './recovery.js'
import type { IndexLimits } from './index-flush.js'
import type { IndexStore } from './index-store.js'
import { openState, openStateView } from './ledger-state.js'
import { createStreamVisibility } from './stream-visibility.js'

export interface JournalOptions {
  /** Folder of the ledger alone; created when missing. */
  readonly folder: string
  /** Identity of a new ledger, for ever; drawn at random when absent. Refused when it differs from an old one. */
  readonly origin?: string
  /** Whether a new ledger takes raw leaves, for ever. Refused for an old one that was created without. */
  readonly interoperability?: boolean
  /** Clock in milliseconds since 1970. */
  readonly now: () => number
  /** Clock of ledger time, where events bring their time with them. Default: `now`. */
  readonly logTime?: () => number
  /** Where the keys are that sign checkpoints. Default: `checkpoint.key` in the folder. */
  readonly keys?: SigningKeys
  readonly onAlarm?: (alarm: Alarm, change: 'raised' | 'cleared') => void
  /** Called once when a failed write or sync made the ledger read-only. */
  readonly onReadOnly?: (reason: EvidenceError) => void
  /** Least time between two checkpoints under load. */
  readonly checkpointIntervalMs?: number
  /** A segment that has reached this size is followed by a new one. */
  readonly segmentBytesMax?: number
  /** When so many events wait, a group is made ready while another is written. Default: `overlapEventsMin`. */
  readonly overlapEventsMin?: number
  /** Space that is kept for outcomes of what has begun when the disk is full; absent = none. */
  readonly reserveBytes?: number
  readonly indexLimits?: Partial<IndexLimits>
  /** Called when the index was damaged or missing and is made anew, which takes time. */
  readonly onIndexRebuild?: (reason: string) => void
  readonly files?: FilePort
}

/** The embedded ledger. */
export interface JournalLedger
  extends
    EventStore,
    ProofSource,
    TileSource,
    SettledAppends,
    RawLeafWriter,
    PayloadEraser,
    KeyChange {
  /** Whether the ledger was created for interoperability; only then it takes raw leaves. */
  readonly interoperability: boolean
  /** Alarms that last. */
  alarms(): readonly Alarm[]
  /** Why no event is taken any more, or null. */
  readOnly(): EvidenceError | null
  /** Why only outcomes of what has begun are taken, for want of space on the disk; null while there is enough. */
  lacksSpace(): EvidenceError | null
  /** Takes no more events until the next start. */
  seal(reason: EvidenceError): void
  /** Where the events of a stream or type stand. */
  readonly positions: Positions
  /** Its files, in which a payload that is being overwritten is seen whole. */
  readonly files: FilePort
  /** The torn write that the last stop left and that was cut off; null when there was none. */
  readonly cut: CutTail | null
}

export type Positions = Pick<
  JournalIndex,
  'positionOf' | 'streamSize' | 'streamPosition' | 'typeSize' | 'typePosition'
>

/** A ledger that is only looked at. */
export interface JournalView extends EventReader, ProofSource {
  readonly positions: Positions
  close(): Promise<void>
}

/**
 * Opens the ledger in a folder for writing, or creates it. What the index does not hold yet is read and
 * checked against the kept checkpoints; when it resolves, all that is readable is durable and covered.
 *
 * @throws EvidenceError LEDGER_LOCKED, JOURNAL_DAMAGED, DATA_FOLDER_INVALID, KEY_FILE_INVALID.
 */
export async function openJournal(options: JournalOptions): Promise<JournalLedger> {
  const { folder } = options
  const patched = patchedFiles(options.files ?? nodeFiles)
  const { files } = patched
  await files.createFolder(folder)
  const lock = await lockFolder(folder, 'exclusive')
  let kept: KeptCheckpoints | undefined
  let reserve = noReserve
  let opened: Parts | undefined
  try {
    const claimed = await claimFolder(files, folder, options)
    const signingKeys = options.keys ?? keyFiles(join(folder, 'checkpoint.key'), files)
    const keys = await openLedgerKeys(files, folder, claimed, signingKeys)
    const { identity } = keys
    kept = await openKeptCheckpoints(files, folder, identity.origin, 'write')
    const latest = latestOf(kept, keys.history)
    reserve = await openDiskReserve({ files, folder, bytes: options.reserveBytes ?? 0 })
    const erasure = await findErasure(patched, folder)
    // Filled below: the index may fail to write as soon as it is open.
    let failLater = (_cause: unknown): void => undefined
    const { store, replayed } = await openState({
      files,
      folder,
      origin: identity.origin,
      kept,
      limits: options.indexLimits ?? {},
      onFailure: (cause) => failLater(cause),
      onRebuild: options.onIndexRebuild ?? (() => undefined),
    })
    opened = { patched, lock, keys, kept, latest, reserve, store, replayed }
    const ledger = assemble({ ...options, files }, opened)
    failLater = (cause) => ledger.onReadOnly(indexFailed(cause))
    await erasure?.settle(store.index)
    if (keys.unfinished) await ledger.ledger.changeKey()
    await ledger.flush()
    return ledger.ledger
  } catch (error) {
    // The first failure is what the caller must hear: a file that cannot be closed adds nothing to it.
    if (opened !== undefined) await closeParts(opened).catch(() => undefined)
    else {
      await kept?.close()
      await reserve.close()
      await lock.release()
    }
    throw error
  }
}

/** Looks at a ledger that no process writes. A torn tail is left out, not cut off. @throws as `openJournal`. */
export async function openJournalReadOnly(options: {
  readonly folder: string
  /** Clock in milliseconds since 1970, for events that are hidden by their age. */
  readonly now?: () => number
  readonly files?: FilePort
}): Promise<JournalView> {
  const { folder } = options
  const patched = patchedFiles(options.files ?? nodeFiles)
  const { files } = patched
  const identity = await readIdentity(files, folder)
  if (identity === undefined || identity.keys.length === 0) {
    throw new EvidenceError('DATA_FOLDER_INVALID', `there is no ledger in ${folder}`)
  }
  const lock = await lockFolder(folder, 'shared')
  let kept: KeptCheckpoints | undefined
  try {
    kept = await openKeptCheckpoints(files, folder, identity.origin, 'read')
    const open = kept
    const latest = latestOf(kept, identity.keys)
    const erasure = await findErasure(patched, folder)
    const { store, replayed } = await openStateView({
      files,
      folder,
      origin: identity.origin,
      kept,
    })
    const { index, tree } = store
    const { segments } = replayed
    await erasure?.show(index)
    const head = createHeadSignal(() => index.size)
    const records = createRecordReader(index, segments)
    const visibility = createStreamVisibility(index, records, options.now ?? (() => Date.now()))
    const proofs = proofsOf(identity.origin, tree, kept, {
      latest() {
        if (latest === undefined)
          throw new EvidenceError('TREE_RANGE', 'no checkpoint was published yet')
        return latest
      },
      waitBeyond: (position) =>
        Promise.reject(
          new EvidenceError('TREE_RANGE', `no kept checkpoint covers position ${position}`),
        ),
    })
    return {
      capabilities,
      keys: identity.keys,
      vkey: presentKey(identity.keys).vkey,
      positions: index,
      size: () => index.size,
      ...createReading(index, records, head, visibility),
      ...proofs,
      async close() {
        head.end()
        for (const { file } of segments) await file.close()
        await store.close()
        await open.close()
        await lock.release()
      },
    }
  } catch (error) {
    await kept?.close()
    await lock.release()
    throw error
  }
}

const capabilities = { sequencedOnAppend: true, multiStreamAtomic: true }

/** The last kept checkpoint; it must be signed by a key of this ledger in its term. */
function latestOf(
  { last }: KeptCheckpoints,
  keys: readonly LedgerKey[],
): PublishedCheckpoint | undefined {
  if (last === undefined) return undefined
  try {
    verifyNote(nodeCrypto, parseNote(last.note), keysAt(nodeCrypto.sha256, keys, last.size))
  } catch (cause) {
    throw keptDamage(last.offset, 'no key of its time signed the last checkpoint', cause)
  }
  return publishedOf(last)
}

interface Parts {
  readonly patched: PatchedFiles
  readonly lock: FolderLock
  readonly keys: LedgerKeys
  readonly kept: KeptCheckpoints
  readonly latest: PublishedCheckpoint | undefined
  readonly reserve: DiskReserve
  readonly store: IndexStore
  readonly replayed: Replayed
}

/** Closes every file; the folder is free again even when one of them cannot be closed. */
async function closeParts({ store, replayed, kept, reserve, lock }: Parts) {
  const failures: unknown[] = []
  const segments = replayed.segments.map(({ file }) => file)
  for (const part of [store, ...segments, kept, reserve])
    await part.close().catch((error: unknown) => failures.push(error))
  await lock.release()
  if (failures.length > 0) throw failures[0]
}

/** Ends everything that runs, in the order in which one needs the other, then closes the files. */
async function closeAll(
  parts: Parts,
  running: {
    readonly queue: CommitQueue
    readonly settled: () => Promise<void>
    readonly head: HeadSignal
    readonly publisher: CheckpointPublisher
    readonly digests: DigestThread
  },
): Promise<void> {
  const { queue, settled, head, publisher, digests } = running
  queue.seal(new EvidenceError('SERVICE_NOT_RUNNING', 'the ledger is closed'))
  await settled()
  await queue.drain()
  head.end()
  try {
    // Covered by a checkpoint, the last events can never be taken for a torn write.
    if (queue.sealed?.code !== 'LEDGER_READ_ONLY') await publisher.flush()
  } finally {
    await publisher.end()
    await digests.close()
    await closeParts(parts)
  }
}

const clockOf = (
  { now, logTime = now, onAlarm = () => undefined }: JournalOptions,
  origin: string,
  { lastTimeMs, clockAlarm }: Replayed,
) => createLedgerClock({ origin, now: logTime, lastTimeMs, raised: clockAlarm, onAlarm })

const publisherOf = (
  options: JournalOptions,
  parts: Parts,
  onFailure: (reason: EvidenceError) => void,
) =>
  createCheckpointPublisher({
    ...parts,
    origin: parts.keys.identity.origin,
    tree: parts.store.tree,
    intervalMs: options.checkpointIntervalMs ?? checkpointIntervalMs,
    makeRoom: (bytes) => parts.reserve.release(bytes),
    onFailure,
  })

function assemble(options: JournalOptions & { readonly files: FilePort }, parts: Parts) {
  const { keys, kept, store, replayed } = parts
  const { index, tree } = store
  const { segments } = replayed
  const { origin, interoperability = false } = keys.identity
  const head = createHeadSignal(() => index.size)
  const records = createRecordReader(index, segments)
  const readEvent = (position: number) => records.read(position)
  const visibility = createStreamVisibility(index, records, options.now)
  const clock = clockOf(options, origin, replayed)
  const onReadOnly = (reason: EvidenceError) => {
    queue.seal(reason)
    options.onReadOnly?.(reason)
  }
  const publisher = publisherOf(options, parts, onReadOnly)
  const { files, folder } = options
  const segmentBytes = options.segmentBytesMax ?? segmentBytesMax
  const writer = createJournalWriter({ files, folder, origin, ...replayed, segmentBytes })
  const digests = createDigestThread()
  const queue = createCommitQueue({
    ...parts,
    clock,
    writer,
    digests,
    overlapEventsMin: options.overlapEventsMin ?? overlapEventsMin,
    readEvent,
    onCommit() {
      head.raise()
      publisher.notify()
    },
    onReadOnly,
  })
  const { settled, ...appends } = createJournalAppends({
    ...options,
    ...parts,
    index,
    interoperability,
    queue,
    segments,
    readEvent,
    onReadOnly,
  })
  let closing: Promise<void> | undefined
  const running = { queue, settled, head, publisher, digests }
  const ledger: JournalLedger = {
    capabilities,
    get vkey() {
      return keys.signer.vkey
    },
    get keys() {
      return keys.history
    },
    get nextVkey() {
      return keys.next?.vkey ?? null
    },
    changeKey: () => publisher.changeKey(),
    cut: replayed.cut,
    positions: index,
    files: options.files,
    size: () => index.size,
    ...createReading(index, records, head, visibility),
    ...proofsOf(origin, tree, kept, publisher),
    hashTile: (level, index, width) => tree.hashTile(level, index, width),
    leaves: createLeafReader(index, replayed.segments),
    alarms: () => (clock.alarm === null ? [] : [clock.alarm]),
    lacksSpace: () => parts.reserve.refusal(),
    seal: onReadOnly,
    readOnly: () => (queue.sealed?.code === 'LEDGER_READ_ONLY' ? queue.sealed : null),
    interoperability,
    ...appends,
    ...visibility.over(appends),
    close: () => (closing ??= closeAll(parts, running)),
  }
  return { ledger, flush: () => publisher.flush(), onReadOnly }
}

const indexFailed = (cause: unknown) =>
  new EvidenceError(
    'LEDGER_READ_ONLY',
    'the index could not be read or written: the ledger takes no more events until it is started again',
    { cause },
  )
