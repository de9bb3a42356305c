import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { EvidenceError } from '../contracts/errors.js'
import { proofFileBytesMax } from '../contracts/proof-file.js'
import { parseSignedCheckpoint } from '../ledger/checkpoint.js'
import { hexOf } from '../ledger/encoding.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { ed25519Note, parseVkey, verifyNote } from '../ledger/note.js'
import { parsePolicy, type WitnessPolicy } from '../ledger/witness-policy.js'
import { type ProofReport, verifyProofFile } from '../ledger/proof-file.js'
import { type Command, type Context, only, readArgs, UsageError } from './command.js'
import { printJson } from './print.js'

const flags = {
  key: { type: 'string', multiple: true },
  policy: { type: 'string' },
  known: { type: 'string' },
  pin: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

const exitSound = 3

export const verify: Command = {
  name: 'verify',
  usage: 'FILE [--key VKEY|FILE]… [--policy FILE] [--known CHECKPOINT] [--pin]',
  summary:
    'Verify a proof file offline: 0 verified, 1 does not verify, 3 sound but the key is not one you named',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    const file = readProof(resolve(context.cwd, only(positionals)))
    const named = (values.key ?? []).map((key) => vkeyOf(key, context))
    const policy = values.policy === undefined ? undefined : policyIn(values.policy, context)
    // Who names a policy has said whom to trust: pins are for who has said nothing.
    const keys = named.length > 0 || policy !== undefined ? named : pinnedKeys(context)
    try {
      const trust = policy === undefined ? { keys } : { keys, policy }
      const report = verifyProofFile(file, trust, nodeCrypto)
      if (values.known !== undefined)
        compareKnown(resolve(context.cwd, values.known), report, report.trusted)
      print(context, report, values.json ?? false)
      return 0
    } catch (error) {
      if (!(error instanceof EvidenceError) || error.kind !== 'untrusted') throw error
      if (values.pin && error.code === 'PROOF_KEY_UNKNOWN') pin(context, keysOf(error))
      context.terminal.err(`fractalops: ${error.message}. ${error.remedy}\n`)
      return exitSound
    }
  },
}

function readProof(path: string): Uint8Array {
  try {
    const bytes = readFileSync(path)
    if (bytes.length > proofFileBytesMax)
      throw new EvidenceError(
        'PROOF_MALFORMED',
        `${path} is larger than ${proofFileBytesMax} bytes`,
      )
    return bytes
  } catch (cause) {
    if (cause instanceof EvidenceError) throw cause
    throw new UsageError(`${path} cannot be read`)
  }
}

function policyIn(path: string, { cwd }: Context): WitnessPolicy {
  let file: Uint8Array
  try {
    file = readFileSync(resolve(cwd, path))
  } catch {
    throw new UsageError(`the policy ${path} cannot be read`)
  }
  return parsePolicy(nodeCrypto.sha256, file)
}

/** A verifier key as text, or the first line of a file that holds it. */
function vkeyOf(text: string, { cwd }: Context): string {
  const isKey = (value: string) => {
    try {
      parseVkey(nodeCrypto.sha256, value)
      return true
    } catch (error) {
      if (error instanceof EvidenceError) return false
      throw error
    }
  }
  if (isKey(text)) return text
  let line: string
  try {
    line = readFileSync(resolve(cwd, text), 'utf8').trim()
  } catch {
    throw new UsageError(
      `--key takes a verifier key or a file that holds one, not ${JSON.stringify(text)}`,
    )
  }
  if (!isKey(line)) throw new UsageError(`${text} holds no verifier key`)
  return line
}

const pinFile = ({ env }: Context) =>
  join(env['XDG_CONFIG_HOME'] ?? join(env['HOME'] ?? '.', '.config'), 'fractalops', 'pinned-keys')

/** Keys that `--pin` stored on first contact, one a line. */
function pinnedKeys(context: Context): string[] {
  try {
    return readFileSync(pinFile(context), 'utf8').split('\n').filter(Boolean)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

function pin(context: Context, keys: readonly string[]): void {
  const path = pinFile(context)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(
    path,
    [...new Set([...pinnedKeys(context), ...keys])].map((key) => `${key}\n`).join(''),
    { mode: 0o600 },
  )
  context.terminal.out(`pinned on first contact: ${keys.join(', ')}\n`)
}

/** The error of a sound proof carries its report. */
const keysOf = (error: EvidenceError): readonly string[] =>
  logKeysOf(error.details['report'] as ProofReport)

/** Witnesses sign too; only keys of the log itself can be pinned. */
const logKeysOf = ({ signedBy, checkpoint }: ProofReport): readonly string[] =>
  signedBy.filter((vkey) => {
    const { name, type } = parseVkey(nodeCrypto.sha256, vkey)
    return name === checkpoint.origin && type === ed25519Note
  })

/** A kept checkpoint of the same size must have the same root; another size needs a consistency proof. */
function compareKnown(path: string, report: ProofReport, keys: readonly string[]): void {
  const { note, checkpoint } = parseSignedCheckpoint(readFileSync(path, 'utf8'))
  verifyNote(
    nodeCrypto,
    note,
    keys.map((key) => parseVkey(nodeCrypto.sha256, key)),
  )
  if (checkpoint.origin !== report.checkpoint.origin) {
    throw new EvidenceError(
      'PROOF_MISMATCH',
      `the known checkpoint is of ${checkpoint.origin}, the proof of ${report.checkpoint.origin}`,
    )
  }
  if (
    checkpoint.size === report.checkpoint.size &&
    hexOf(checkpoint.root) !== hexOf(report.checkpoint.root)
  ) {
    throw new EvidenceError(
      'PROOF_MISMATCH',
      `the known checkpoint of size ${checkpoint.size} has another root: the ledger was rewritten`,
    )
  }
  if (checkpoint.size > report.checkpoint.size && report.position >= checkpoint.size) {
    throw new EvidenceError(
      'PROOF_MISMATCH',
      'the proof is of a position that the known checkpoint does not reach',
    )
  }
}

const trustOf = ({ witnesses }: ProofReport): string =>
  witnesses.length === 0
    ? 'self-signed (the ledger signs its own checkpoints)'
    : `${witnesses.length} ${witnesses.length === 1 ? 'witness' : 'witnesses'} of your policy (${witnesses.join(', ')})`

function print({ terminal }: Context, report: ProofReport, json: boolean): void {
  const { leaf, position, checkpoint, trusted, witnesses, steps } = report
  if (json) {
    printJson(terminal, {
      verified: true,
      leaf,
      position: String(position),
      origin: checkpoint.origin,
      size: String(checkpoint.size),
      root: hexOf(checkpoint.root),
      trusted,
      witnesses,
      trust: trustOf(report),
      steps,
    })
    return
  }
  for (const step of steps) terminal.out(`ok  ${step.summary}\n`)
  terminal.out(
    `verified: ${leaf.type} ${leaf.id} of ${leaf.actor}, recorded ${leaf.time}, is number ${position} of ${checkpoint.size} on ${checkpoint.origin}\n`,
  )
  terminal.out(`trust level: ${trustOf(report)}\n`)
}
