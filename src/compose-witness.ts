import { randomBytes } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { buildWitnessServer } from './api/witness-server.js'
import { EvidenceError } from './contracts/errors.js'
import { openKeyFile } from './ledger/adapters/key-file.js'
import { openWitnessState } from './ledger/adapters/witness-state.js'
import { nodeCrypto } from './ledger/node-crypto.js'
import { ed25519Cosignature, type NoteSigner } from './ledger/note.js'
import { parseFollowedLogs } from './ledger/witness.js'
import type { Closing } from './runtime/closing.js'
import { type Config, formatHostPort } from './runtime/config.js'
import type { Log } from './runtime/log.js'
import { createWitness } from './runtime/witness.js'
import { foldersOverlap } from './runtime/witness-config.js'

export interface RunningWitness {
  readonly url: string
  readonly vkey: string
}

const keyFile = 'witness.key'

/**
 * Starts the witness that the configuration names: its key, what it has seen, and its own server.
 *
 * @throws EvidenceError CONFIGURATION_INVALID, KEY_FILE_INVALID, LEDGER_LOCKED, ADDRESS_IN_USE.
 */
export async function startWitness(
  config: Config,
  log: Log,
  closing: Closing,
): Promise<RunningWitness> {
  if (config.witness === undefined) throw new TypeError('no witness is configured')
  const { state: folder, logs, name, listen } = config.witness
  refuseOverlap(folder, config.data)
  const followed = parseFollowedLogs(nodeCrypto.sha256, await readSetting(logs))
  const state = await openWitnessState(folder)
  closing.add('witness state', () => state.close())
  const signer = await witnessKey(join(folder, keyFile), name)
  await writeFile(join(folder, 'witness.vkey'), `${signer.vkey}\n`)
  const nowMs = () => Date.now()
  const app = buildWitnessServer({
    witness: createWitness({ crypto: nodeCrypto, followed, signer, state, nowMs }),
    vkey: signer.vkey,
    seenByHash: (hash) => state.seenByHash(hash),
    log,
    nowMs,
  })
  closing.add('witness', () => app.close())
  const url = await app.listen(listen).catch((cause: unknown) => {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE')) throw cause
    throw new EvidenceError(
      'ADDRESS_IN_USE',
      `${formatHostPort(listen)} (witness) is taken by another program`,
      { cause },
    )
  })
  return { url, vkey: signer.vkey }
}

/** The key that stands in the folder, whatever it is called; a new one takes the configured name. */
async function witnessKey(path: string, name: string | undefined): Promise<NoteSigner> {
  const present = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  const kept = present?.split('+')[2]
  const chosen = name ?? kept ?? `fractalops.local/witness/${randomBytes(8).toString('hex')}`
  return openKeyFile(path, chosen, present === undefined, undefined, ed25519Cosignature)
}

async function readSetting(path: string): Promise<Uint8Array> {
  return readFile(path).catch((cause: unknown) => {
    throw new EvidenceError('CONFIGURATION_INVALID', `${path} cannot be read`, { cause })
  })
}

/** Links are followed as far as the folders exist, so that no name hides one inside the other. */
function refuseOverlap(state: string, data: string): void {
  if (!foldersOverlap(realOf(state), realOf(data))) return
  throw new EvidenceError(
    'CONFIGURATION_INVALID',
    `the state of the witness (${state}) and the data folder (${data}) are inside one another`,
  )
}

function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (!isMissing || dirname(path) === path) throw error
    return join(realOf(dirname(path)), basename(path))
  }
}
