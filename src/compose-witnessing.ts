import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { EvidenceError } from './contracts/errors.js'
import { openWitnessedStore } from './ledger/adapters/witnessed-checkpoints.js'
import { parseSignedCheckpoint } from './ledger/checkpoint.js'
import type { ProofSource } from './ledger/event-store.js'
import type { Ledger, OwnLog } from './ledger/ledger.js'
import { verifyConsistency } from './ledger/merkle.js'
import { nodeCrypto } from './ledger/node-crypto.js'
import { verifyNote } from './ledger/note.js'
import { keysAt } from './ledger/signing-keys.js'
import { parsePolicy, type WitnessPolicy } from './ledger/witness-policy.js'
import { createLedgerWriter } from './ledger/writers.js'
import { postText } from './runtime/adapters/http-client.js'
import { openAlarm } from './runtime/alarm.js'
import type { Closing } from './runtime/closing.js'
import type { Config } from './runtime/config.js'
import type { Log } from './runtime/log.js'
import {
  followWitnesses,
  unreconciledWitnesses,
  type WitnessFollower,
} from './runtime/witness-follower.js'

/** How long a start waits for witnesses to say what they saw. */
const askTimeoutMs = 5_000
/** Who noticed: the alarms of the engine itself carry the actor `ledger`. */
const alarmActor = 'witnesses'

/**
 * Compares the ledger with what others saw of it, before anything is appended, and then follows
 * the witnesses of the policy.
 *
 * @throws EvidenceError ROLLBACK_DETECTED, CONFIGURATION_INVALID, WITNESS_POLICY_INVALID.
 */
export async function startWitnessing(
  ledger: Ledger,
  ownLog: Pick<OwnLog, 'folder' | 'seal'>,
  { witnessing }: Config,
  { log, closing }: { readonly log: Log; readonly closing: Closing },
): Promise<WitnessFollower | undefined> {
  const { known, acceptRollback, required, intervalMs } = witnessing
  const policy = await policyOf(witnessing.policy, required)
  const asked = { proofs: ledger, post: postText, crypto: nodeCrypto }
  const reasons = [
    ...(known === undefined ? [] : await unreconciledWith(ledger, known)),
    ...(policy === undefined
      ? []
      : await unreconciledWitnesses({ ...asked, policy }, askTimeoutMs)),
  ]
  if (reasons.length > 0 && !acceptRollback)
    throw new EvidenceError(
      'ROLLBACK_DETECTED',
      `this ledger is not the one that others saw: ${reasons.join('; ')}`,
      { details: { reasons } },
    )
  if (policy === undefined) return undefined
  const named = policy.logs.filter(({ vkey }) => vkey.startsWith(`${ledger.origin}+`))
  if (named.length > 0 && named.every(({ vkey }) => vkey !== ledger.vkey))
    log.warn('the witness policy names earlier keys of this ledger alone', { present: ledger.vkey })
  const store = await openWitnessedStore(ownLog.folder, ledger.origin, ({ message }) =>
    log.error('witnessed checkpoints were damaged and set aside', { message }),
  )
  const alarm = await openAlarm({
    ledger,
    writer: createLedgerWriter(ledger),
    alarm: 'checkpoint-not-reconciled',
    actor: alarmActor,
    newId: randomUUID,
    nowMs: () => Date.now(),
    log,
  })
  const follower = followWitnesses({
    ...asked,
    policy,
    required,
    store,
    log,
    intervalMs,
    nowMs: () => Date.now(),
    async onUnreconciled(found) {
      await (found.length > 0
        ? alarm.raise(found.join('; '))
        : alarm.clear('every witness follows again'))
      if (found.length > 0 && required && !acceptRollback)
        ownLog.seal(
          new EvidenceError(
            'LEDGER_READ_ONLY',
            `a witness saw another ledger, and witnesses are required: ${found.join('; ')}`,
          ),
        )
    },
  })
  closing.add('witnesses', () => follower.close())
  return follower
}

async function policyOf(
  path: string | undefined,
  required: boolean,
): Promise<WitnessPolicy | undefined> {
  if (path === undefined) return undefined
  const policy = parsePolicy(nodeCrypto.sha256, await fileOf(path, 'policy of witnesses'))
  for (const { name, url } of policy.witnesses)
    if (url !== undefined && !(URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)))
      throw new EvidenceError(
        'CONFIGURATION_INVALID',
        `the URL of the witness ${name} in ${path} is not http(s)`,
      )
  if (required && policy.quorum === null)
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      `witnesses are required, but ${path} asks for none (quorum none)`,
    )
  return policy
}

const fileOf = (path: string, what: string): Promise<Uint8Array> =>
  readFile(path).catch((cause: unknown) => {
    throw new EvidenceError('CONFIGURATION_INVALID', `the ${what} ${path} cannot be read`, {
      cause,
    })
  })

/** Why the ledger does not extend a checkpoint that was kept elsewhere; empty when it does. */
async function unreconciledWith(ledger: ProofSource, path: string): Promise<readonly string[]> {
  const { note, checkpoint } = parseSignedCheckpoint(
    Buffer.from(await fileOf(path, 'kept checkpoint')).toString('utf8'),
  )
  if (checkpoint.origin !== ledger.origin)
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      `${path} is a checkpoint of ${checkpoint.origin}, not of ${ledger.origin}`,
    )
  verifyNote(nodeCrypto, note, keysAt(nodeCrypto.sha256, ledger.keys, checkpoint.size))
  const latest = ledger.checkpoint()
  if (checkpoint.size > latest.size)
    return [`${path} covers ${checkpoint.size} leaves, this ledger has ${latest.size}`]
  try {
    verifyConsistency(nodeCrypto.sha256, {
      from: checkpoint.size,
      to: latest.size,
      fromRoot: checkpoint.root,
      toRoot: latest.root,
      path:
        checkpoint.size === 0 || checkpoint.size === latest.size
          ? []
          : await ledger.proveConsistency(checkpoint.size, latest.size),
    })
    return []
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return [`${path} is of another tree: ${error.message}`]
  }
}
