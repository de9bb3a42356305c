import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import type { EventReader, StoreCapabilities } from '../event-store.js'
import type { Ledger } from '../ledger.js'
import { metadataStreamOf } from '../stream-name.js'
import { openDataKeyFile } from './data-key-file.js'
import { type FilePort, nodeFiles, replaceFile } from './file-port.js'
import { createClusterAppends } from './kurrentdb-appends.js'
import { claimLedger, lastClaim } from './kurrentdb-claim.js'
import type { AllPosition } from '../all-position.js'
import type { ClusterConnection } from './kurrentdb-connection.js'
import { createEnvelopes, type Envelopes } from './kurrentdb-envelope.js'
import { openPlaceFile } from './kurrentdb-place.js'
import { startSequencer } from './kurrentdb-sequencer.js'
import { type JournalLedger, type JournalOptions, openJournal } from './open-journal.js'

export interface ClusterLedgerOptions extends Omit<JournalOptions, 'interoperability' | 'logTime'> {
  readonly connection: ClusterConnection
  /** Folder of what binds the log to the cluster: data keys and place. */
  readonly clusterFolder: string
  /** File of the secret that makes events on the cluster ours. */
  readonly secretFile: string
  /** How long an append waits for its place on the ledger; 0 = receipts come without. Default: `sequencedWithinMs`. */
  readonly sequencedWithinMs?: number
  readonly onLost?: (cause: unknown) => void
}

/** A ledger whose events stand on a cluster, and whose log is sequenced here. */
export interface ClusterLedger extends Ledger {
  /** The log, to which nothing but the sequencer appends. */
  readonly log: JournalLedger
  /** Takes no more events until the next start. */
  seal(reason: EvidenceError): void
}

const sequencedWithinMs = 15_000
const secretBytes = 32
const capabilities: StoreCapabilities = { sequencedOnAppend: false, multiStreamAtomic: false }
const placeFile = 'place'

/** Whether the ledger of this data folder stands on a cluster. */
export const standsOnCluster = async (clusterFolder: string): Promise<boolean> =>
  (await nodeFiles.modeOf(join(clusterFolder, placeFile))) !== undefined

/**
 * Opens the ledger whose events stand on a cluster, or begins one there, and takes over its sequencing. When it
 * resolves, everything that the cluster held is on the log.
 *
 * @throws EvidenceError as `openJournal`; CONFIGURATION_INVALID when the cluster holds another ledger;
 * KEY_FILE_INVALID; EVENT_STORE_UNREACHABLE.
 */
export async function openClusterLedger(options: ClusterLedgerOptions): Promise<ClusterLedger> {
  const { connection, clusterFolder, folder } = options
  const files = options.files ?? nodeFiles
  await files.createFolder(clusterFolder)
  const isBegun = (await files.modeOf(join(folder, 'ledger.json'))) !== undefined
  const isOnCluster = (await files.modeOf(join(clusterFolder, placeFile))) !== undefined
  if (isBegun && !isOnCluster)
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      'the events of the ledger in this data folder stand there and not on a cluster',
    )
  // A new ledger begins nowhere but on a cluster that holds none.
  if (!isOnCluster) await lastClaim(connection, undefined, undefined)
  const closing: (() => Promise<unknown>)[] = []
  const closeAll = async () => {
    for (const close of closing.splice(0).reverse()) await close()
  }
  try {
    const place = await openPlaceFile(files, join(clusterFolder, placeFile))
    closing.push(() => place.close())
    const secret = await secretOf(files, options.secretFile, !isBegun)
    const keys = await openDataKeyFile(files, join(clusterFolder, 'data.keys'))
    closing.push(() => keys.close())
    let timeMs = 0
    const log = await openJournal({ ...options, logTime: () => timeMs })
    closing.push(() => log.close())
    for await (const { leaf } of log.readLog({ direction: 'backwards', max: 1 }))
      timeMs = Date.parse(leaf.time)
    const envelopes = createEnvelopes(secret)
    await refuseRollback(connection, place.behind(log.size()))
    const isNew = log.size() === 0
    const claim = await claimLedger(connection, envelopes, { origin: log.origin, isNew })
    const onTime = (ms: number) => (timeMs = ms)
    return await assemble(options, { log, place, keys, envelopes, claim, timeMs, onTime }, closing)
  } catch (error) {
    await closeAll().catch(() => undefined)
    throw error
  }
}

async function assemble(
  options: ClusterLedgerOptions,
  own: {
    readonly log: JournalLedger
    readonly place: Awaited<ReturnType<typeof openPlaceFile>>
    readonly keys: Awaited<ReturnType<typeof openDataKeyFile>>
    readonly envelopes: Envelopes
    readonly claim: Awaited<ReturnType<typeof claimLedger>>
    readonly timeMs: number
    readonly onTime: (timeMs: number) => void
  },
  closing: (() => Promise<unknown>)[],
): Promise<ClusterLedger> {
  const { connection } = options
  const { log } = own
  let ended: EvidenceError | null = null
  let lost: unknown
  const end = (reason: EvidenceError) => {
    if (ended !== null) return
    ended = reason
    log.seal(reason)
    appends.end(reason)
  }
  const appends = createClusterAppends({
    connection,
    log,
    envelopes: own.envelopes,
    keys: own.keys,
    sequencer: () => sequencer,
    refusal: ({ fromReserve }) => log.readOnly() ?? (fromReserve ? null : log.lacksSpace()),
    sequencedWithinMs: options.sequencedWithinMs ?? sequencedWithinMs,
  })
  const sequencer = startSequencer({
    ...own,
    connection,
    lastTimeMs: own.timeMs,
    onSequenced: (key, receipt) => appends.onSequenced(key, receipt),
    onEnd: end,
    onLost(cause) {
      if ((lost === undefined) !== (cause === undefined)) options.onLost?.(cause)
      lost = cause
    },
  })
  closing.push(() => sequencer.close())
  const head = await connection.head()
  if (head !== undefined) await sequencer.reach(head)
  return {
    ...readingOf(log, appends),
    log,
    get vkey() {
      return log.vkey
    },
    get keys() {
      return log.keys
    },
    append: (request) => appends.append(request),
    async appendTogether(requests) {
      const [request, ...others] = requests
      if (request === undefined || others.length > 0)
        throw new EvidenceError(
          'REQUEST_INVALID',
          'a cluster appends to one stream at a time, not to several together',
        )
      return [await appends.append(request)]
    },
    seal: end,
    readOnly: () => ended ?? log.readOnly(),
    lacksSpace: () => log.lacksSpace(),
    alarms: () => [
      ...log.alarms(),
      ...(lost === undefined
        ? []
        : [{ alarm: 'cluster-lost', message: 'the cluster that holds the events is not reached' }]),
    ],
    async close() {
      appends.end(new EvidenceError('SERVICE_NOT_RUNNING', 'the ledger is closed'))
      for (const close of closing.splice(0).reverse()) await close()
      await connection.close()
    },
  }
}

/** Everything is read from the log; who asks for what is on its way waits for it. */
function readingOf(
  log: JournalLedger,
  appends: ReturnType<typeof createClusterAppends>,
): EventReader &
  Pick<
    Ledger,
    | 'origin'
    | 'positions'
    | 'interoperability'
    | 'checkpoint'
    | 'checkpointCovering'
    | 'checkpointsAfter'
    | 'proveInclusion'
    | 'proveBatch'
    | 'proveConsistency'
    | 'hashTile'
    | 'leaves'
  > {
  return {
    capabilities,
    origin: log.origin,
    positions: log.positions,
    interoperability: false,
    size: () => log.size(),
    async find(id) {
      await appends.idQuiet(id)
      return log.find(id)
    },
    async lastRevision(project, stream, hidden) {
      await appends.streamQuiet(project, stream)
      return log.lastRevision(project, stream, hidden)
    },
    async streamMetadata(project, stream) {
      await appends.streamQuiet(project, metadataStreamOf(stream))
      return log.streamMetadata(project, stream)
    },
    async *readStream(read) {
      await appends.streamQuiet(read.project, read.stream)
      yield* log.readStream(read)
    },
    readLog: (read) => log.readLog(read),
    subscribe: (wish) => log.subscribe(wish),
    checkpoint: () => log.checkpoint(),
    checkpointCovering: (position, timeoutMs) => log.checkpointCovering(position, timeoutMs),
    checkpointsAfter: (size) => log.checkpointsAfter(size),
    proveInclusion: (position, size) => log.proveInclusion(position, size),
    proveBatch: (positions, size) => log.proveBatch(positions, size),
    proveConsistency: (from, to) => log.proveConsistency(from, to),
    hashTile: (level, index, width) => log.hashTile(level, index, width),
    leaves: (from, count) => log.leaves(from, count),
  }
}

/** @throws EvidenceError ROLLBACK_DETECTED when the cluster has lost events that stand on the log. */
async function refuseRollback(
  connection: Pick<ClusterConnection, 'head'>,
  reached: AllPosition | undefined,
): Promise<void> {
  if (reached === undefined) return
  const head = await connection.head()
  if (head === undefined || head.commit < reached.commit)
    throw new EvidenceError(
      'ROLLBACK_DETECTED',
      'the cluster ends before the place where the log of this ledger does: it holds an earlier state',
    )
}

/** @throws EvidenceError KEY_FILE_INVALID. */
async function secretOf(files: FilePort, path: string, mayCreate: boolean): Promise<Uint8Array> {
  const present = await files.readWhole(path)
  if (present?.length === secretBytes) {
    if (((await files.modeOf(path)) ?? 0) & 0o077)
      throw new EvidenceError('KEY_FILE_INVALID', `${path} can be read by others: it must be 0600`)
    return present
  }
  if (present !== undefined || !mayCreate)
    throw new EvidenceError(
      'KEY_FILE_INVALID',
      `${path} is not the secret by which the events of the ledger are known on the cluster`,
    )
  const secret = randomBytes(secretBytes)
  await replaceFile(files, path, secret)
  return secret
}
