import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { EvidenceError } from './contracts/errors.js'
import { alarmCleared, alarmRaised } from './contracts/ledger.js'
import { ledgerStream } from './ledger/adapters/ledger-clock.js'
import type { JournalLedger } from './ledger/adapters/open-journal.js'
import { openWitnessedStore } from './ledger/adapters/witnessed-checkpoints.js'
import { parseSignedCheckpoint } from './ledger/checkpoint.js'
import { fact } from './ledger/facts.js'
import { verifyConsistency } from './ledger/merkle.js'
import { nodeCrypto } from './ledger/node-crypto.js'
import { verifyNote } from './ledger/note.js'
import { keysAt } from './ledger/signing-keys.js'
import { parsePolicy, type WitnessPolicy } from './ledger/witness-policy.js'
import { createLedgerWriter } from './ledger/writers.js'
import { postText } from './runtime/adapters/http-client.js'
import { defaultProject } from './runtime/bootstrap.js'
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
  ledger: JournalLedger,
  { witnessing }: Config,
  folder: string,
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
  const store = await openWitnessedStore(folder, ledger.origin, ({ message }) =>
    log.error('witnessed checkpoints were damaged and set aside', { message }),
  )
  const alarm = await openAlarm(ledger, log)
  const follower = followWitnesses({
    ...asked,
    policy,
    required,
    store,
    log,
    intervalMs,
    nowMs: () => Date.now(),
    async onUnreconciled(found) {
      await alarm.tell(found)
      if (found.length > 0 && required && !acceptRollback)
        ledger.seal(
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
async function unreconciledWith(ledger: JournalLedger, path: string): Promise<readonly string[]> {
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

/** The alarm as it stands on the ledger, raised and cleared once each. */
async function openAlarm(ledger: JournalLedger, log: Log) {
  const writer = createLedgerWriter(ledger)
  const stream = ledgerStream(ledger.origin)
  const types = [alarmRaised.type, alarmCleared.type]
  const filter = { project: defaultProject, streamPrefixes: [stream], types }
  let raised = false
  for await (const { leaf } of ledger.readLog({ direction: 'backwards', filter })) {
    if (leaf.actor !== alarmActor) continue
    raised = leaf.type === alarmRaised.type
    break
  }
  return {
    async tell(reasons: readonly string[]) {
      const contract = reasons.length > 0 ? alarmRaised : alarmCleared
      if (reasons.length > 0 === raised) return
      const message =
        reasons.length > 0 ? reasons.join('; ').slice(0, 1024) : 'every witness follows again'
      log.error('ledger alarm', { alarm: 'checkpoint-not-reconciled', raised: !raised })
      await writer.record({
        project: defaultProject,
        stream,
        expected: 'any',
        actor: alarmActor,
        facts: [fact(contract, randomUUID(), { alarm: 'checkpoint-not-reconciled', message })],
      })
      raised = !raised
    },
  }
}
