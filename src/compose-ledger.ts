import { randomUUID } from 'node:crypto'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EvidenceError } from './contracts/errors.js'
import { diskReserveBytes } from './ledger/adapters/disk-reserve.js'
import { keyFiles } from './ledger/adapters/key-file.js'
import { connectCluster } from './ledger/adapters/kurrentdb-connection.js'
import { openClusterLedger, standsOnCluster } from './ledger/adapters/kurrentdb-ledger.js'
import { createLedgerVerification } from './ledger/adapters/ledger-verification.js'
import { type JournalLedger, openJournal } from './ledger/adapters/open-journal.js'
import type { OpenedLedger, OwnLog } from './ledger/ledger.js'
import { nodeCrypto } from './ledger/node-crypto.js'
import { ledgerStreamOf } from './ledger/stream-name.js'
import { createLedgerWriter } from './ledger/writers.js'
import { createCedarEngine } from './proposals/adapters/cedar.js'
import { readPolicyFolder } from './proposals/adapters/policy-folder.js'
import { bundleDigest, schemaDigest } from './proposals/bundle.js'
import { bootstrapLedger, needsBootstrap } from './runtime/bootstrap.js'
import type { Config } from './runtime/config.js'
import { type ClusterPlace, withCredentials } from './runtime/ledger-config.js'
import { type DataFolder, writeAdminToken } from './runtime/data-folder.js'
import { newToken, sha256Hex } from './runtime/identities.js'
import { recordKeys } from './runtime/key-history.js'
import type { Log } from './runtime/log.js'

const shippedPolicies = join(import.meta.dirname, '..', 'schemas', 'policies', 'bootstrap')

type LedgerConfig = Pick<Config, 'ledger' | 'policies' | 'origin' | 'interoperability'>

/** Opens the ledger of the configuration; a new one is created with its first facts, or not at all. */
export async function openLedger(
  config: LedgerConfig,
  folder: DataFolder,
  log: Log,
): Promise<OpenedLedger> {
  const place = config.ledger
  switch (place.kind) {
    case 'embedded':
      return openSequenced(config, folder, () => openEmbedded(config, folder, log))
    case 'cluster':
      return openSequenced(config, folder, () => openOnCluster(config, place, folder, log))
  }
}

/** The embedded engine in the data folder. */
async function openEmbedded(
  config: LedgerConfig,
  folder: DataFolder,
  log: Log,
): Promise<OpenedLedger> {
  if (await standsOnCluster(folder.cluster))
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      'the events of the ledger in this data folder stand on a cluster: FRACTALOPS_LEDGER must name it',
    )
  const ledger = await openJournal({
    ...logOptions(config, folder, log),
    interoperability: config.interoperability,
  })
  return { ledger, ownLog: ownLogOf(ledger, folder, (reason) => ledger.seal(reason)) }
}

/** A cluster that holds the events; their log stands in the data folder. */
async function openOnCluster(
  config: LedgerConfig,
  { connection, credentials }: ClusterPlace,
  folder: DataFolder,
  log: Log,
): Promise<OpenedLedger> {
  if (config.interoperability)
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      'a ledger on a cluster takes no raw leaves: --interoperability needs the embedded engine',
    )
  const cluster = await connectCluster(
    credentials === undefined
      ? connection
      : withCredentials(connection, await readCredentials(credentials)),
  )
  try {
    const ledger = await openClusterLedger({
      ...logOptions(config, folder, log),
      connection: cluster,
      clusterFolder: folder.cluster,
      secretFile: join(folder.keys, 'cluster.key'),
      onLost: (cause) =>
        cause === undefined
          ? log.info('the cluster is reached again')
          : log.warn('the cluster is not reached', {
              error: cause instanceof Error ? cause.message : typeof cause,
            }),
    })
    return { ledger, ownLog: ownLogOf(ledger.log, folder, (reason) => ledger.seal(reason)) }
  } catch (error) {
    await cluster.close()
    throw error
  }
}

const ownLogOf = (log: JournalLedger, folder: DataFolder, seal: OwnLog['seal']): OwnLog => ({
  folder: folder.ledger,
  verification: createLedgerVerification({ files: log.files, folder: folder.ledger }),
  get nextVkey() {
    return log.nextVkey
  },
  changeKey: () => log.changeKey(),
  seal,
})

async function readCredentials(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new EvidenceError('CONFIGURATION_INVALID', `${path} cannot be read`, { cause })
  })
  return text.trim()
}

const logOptions = ({ origin }: LedgerConfig, folder: DataFolder, log: Log) => ({
  folder: folder.ledger,
  now: () => Date.now(),
  reserveBytes: diskReserveBytes,
  ...(origin === undefined ? {} : { origin }),
  keys: keyFiles(join(folder.keys, 'checkpoint.key')),
  onAlarm: ({ alarm }: { alarm: string }, change: string) =>
    log.warn('ledger alarm', { alarm, change }),
  onReadOnly: ({ code }: EvidenceError) => log.error('the ledger became read-only', { code }),
  onIndexRebuild: (reason: string) => log.warn('the index of the ledger is made anew', { reason }),
})

/** Opens a ledger that this process sequences, and records what a new one begins with, and its keys. */
async function openSequenced(
  config: LedgerConfig,
  folder: DataFolder,
  open: () => Promise<OpenedLedger>,
): Promise<OpenedLedger> {
  const engine = createCedarEngine()
  const policies = () => {
    const policy = readPolicyFolder(config.policies ?? shippedPolicies)
    engine.prepare(policy)
    return policy
  }
  const isNew = await access(join(folder.ledger, 'ledger.json')).then(
    () => false,
    () => true,
  )
  // Before anything is created: malformed policies make no ledger.
  if (isNew) policies()
  const opened = await open()
  const { ledger, ownLog } = opened
  try {
    const writer = createLedgerWriter(ledger)
    const stream = ledgerStreamOf(nodeCrypto.sha256, ledger.origin)
    if (await needsBootstrap(ledger, stream)) {
      const policy = policies()
      const token = newToken()
      await writeAdminToken(folder, token)
      await bootstrapLedger(ledger, writer, {
        policy,
        policyDigest: bundleDigest(policy),
        schemaDigest: schemaDigest(policy),
        administratorTokenSha256: sha256Hex(token),
        ledgerStream: stream,
        newId: randomUUID,
      })
    }
    await recordKeys(ledger, ownLog, writer, randomUUID)
    return opened
  } catch (error) {
    await ledger.close()
    throw error
  }
}
