import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as z from 'zod'
import { streamProofFormat, windowProofFormat } from '../contracts/completeness.js'
import { EvidenceError } from '../contracts/errors.js'
import { queryProofFormat } from '../contracts/query-proof.js'
import { proofFileBytesMax } from '../contracts/proof-file.js'
import { parseSignedCheckpoint } from '../ledger/checkpoint.js'
import { hexOf } from '../ledger/encoding.js'
import { followKeys, type KeyTerm } from '../ledger/key-succession.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { ed25519Note, parseVkey, verifyNote } from '../ledger/note.js'
import { type QueryReport, verifyQueryProof } from '../ledger/query-proof.js'
import { parsePolicy, type WitnessPolicy } from '../ledger/witness-policy.js'
import { type ProofReport, type ProofTrust, verifyProofFile } from '../ledger/proof-file.js'
import { type StreamReport, verifyStreamProof } from '../ledger/stream-proof.js'
import { verifyWindowProof, type WindowReport } from '../ledger/window-proof.js'
import { type Command, type Context, only, readArgs, UsageError } from './command.js'
import { printJson } from './print.js'

const flags = {
  key: { type: 'string', multiple: true },
  policy: { type: 'string' },
  known: { type: 'string' },
  pin: { type: 'boolean' },
  earlier: { type: 'string', multiple: true },
  json: { type: 'boolean' },
} as const

const exitSound = 3

export const verify: Command = {
  name: 'verify',
  usage:
    'FILE [--key VKEY|FILE]… [--policy FILE] [--known CHECKPOINT] [--earlier KEY-PROOF]… [--pin]',
  summary:
    'Verify a proof of an event, a stream, a window or the answer of a query offline: 0 verified, 1 does not verify, 3 sound but the key is not one you named; --earlier takes the proofs of changes of the key',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    const file = readProof(resolve(context.cwd, only(positionals)))
    const named = (values.key ?? []).map((key) => vkeyOf(key, context))
    const policy = values.policy === undefined ? undefined : policyIn(values.policy, context)
    // Who names a policy has said whom to trust: pins are for who has said nothing.
    const pinned = pinnedKeys(context)
    const keys = named.length > 0 || policy !== undefined ? named : pinned
    try {
      const terms = termsOf(values.earlier ?? [], keys, policy, context)
      const trust = {
        keys: [...new Set([...keys, ...terms.map(({ vkey }) => vkey)])],
        terms,
        ...(policy === undefined ? {} : { policy }),
      }
      const report = verifyAny(file, trust)
      if (values.known !== undefined)
        compareKnown(resolve(context.cwd, values.known), report, [
          ...report.trusted,
          ...terms.map(({ vkey }) => vkey),
        ])
      if (keys === pinned) followPin(context, pinned, terms)
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

/** The terms of all keys that the proofs of key events lead to; empty when none are given. */
function termsOf(
  paths: readonly string[],
  keys: readonly string[],
  policy: WitnessPolicy | undefined,
  { cwd }: Context,
): readonly KeyTerm[] {
  if (paths.length === 0) return []
  const trusted = [...keys, ...(policy?.logs ?? []).map(({ vkey }) => vkey)]
  return followKeys(
    paths.map((path) => readProof(resolve(cwd, path))),
    trusted,
    nodeCrypto,
  )
}

/** The pin goes with a change of the key that it was shown. */
function followPin(context: Context, pinned: readonly string[], terms: readonly KeyTerm[]): void {
  const later = terms.filter(({ vkey, from }) => from > 0 && !pinned.includes(vkey))
  if (later.length === 0) return
  storePins(
    context,
    later.map(({ vkey }) => vkey),
  )
  context.terminal.err(
    `the pin follows the ledger to its later key: ${later.map(({ vkey }) => vkey).join(', ')}\n`,
  )
}

type AnyReport = ProofReport | StreamReport | WindowReport | QueryReport

/** Verifies a file of any of the formats; it says itself which it is. */
function verifyAny(file: Uint8Array, trust: ProofTrust): AnyReport {
  const format = formatOf(file)
  if (format === streamProofFormat) return verifyStreamProof(file, trust, nodeCrypto)
  if (format === windowProofFormat) return verifyWindowProof(file, trust, nodeCrypto)
  if (format === queryProofFormat) return verifyQueryProof(file, trust, nodeCrypto)
  return verifyProofFile(file, trust, nodeCrypto)
}

/** Undefined when it is no file of ours: the strict reader then says what is wrong. */
function formatOf(file: Uint8Array): unknown {
  try {
    return z.object({ format: z.string() }).parse(JSON.parse(Buffer.from(file).toString())).format
  } catch {
    return undefined
  }
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
  storePins(context, keys)
  context.terminal.out(`pinned on first contact: ${keys.join(', ')}\n`)
}

function storePins(context: Context, keys: readonly string[]): void {
  const path = pinFile(context)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(
    path,
    [...new Set([...pinnedKeys(context), ...keys])].map((key) => `${key}\n`).join(''),
    { mode: 0o600 },
  )
}

/** The error of a sound proof carries its report. */
const keysOf = (error: EvidenceError): readonly string[] =>
  logKeysOf(error.details['report'] as AnyReport)

/** Witnesses sign too; only keys of the log itself can be pinned. */
const logKeysOf = ({ signedBy, checkpoint }: AnyReport): readonly string[] =>
  signedBy.filter((vkey) => {
    const { name, type } = parseVkey(nodeCrypto.sha256, vkey)
    return name === checkpoint.origin && type === ed25519Note
  })

/** A kept checkpoint of the same size must have the same root; another size needs a consistency proof. */
function compareKnown(path: string, report: AnyReport, keys: readonly string[]): void {
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

const trustOf = ({ witnesses }: AnyReport): string =>
  witnesses.length === 0
    ? 'self-signed (the ledger signs its own checkpoints)'
    : `${witnesses.length} ${witnesses.length === 1 ? 'witness' : 'witnesses'} of your policy (${witnesses.join(', ')})`

function print({ terminal }: Context, report: AnyReport, json: boolean): void {
  const { position, checkpoint, trusted, witnesses, steps } = report
  if (json) {
    printJson(terminal, {
      verified: true,
      ...subjectOf(report),
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
  terminal.out(`verified: ${sentenceOf(report)}\n`)
  terminal.out(`trust level: ${trustOf(report)}\n`)
}

function sentenceOf(report: AnyReport): string {
  if ('statement' in report) return `${report.statement}, on ${report.checkpoint.origin}`
  const { leaf, position, checkpoint } = report
  return `${leaf.type} ${leaf.id} of ${leaf.actor}, recorded ${leaf.time}, is number ${position} of ${checkpoint.size} on ${checkpoint.origin}`
}

function subjectOf(report: AnyReport): object {
  if (!('statement' in report)) return { leaf: report.leaf }
  if (report.kind === 'query') {
    const { kind, statement, sql, rows, events } = report
    return { kind, statement, sql, rows, events }
  }
  const { kind, project, statement, events, upTo, seal } = report
  const sealed = seal === null ? null : { position: String(seal.position), size: String(seal.size) }
  const common = { kind, project, statement, events, up_to: upTo, sealed }
  return report.kind === 'stream'
    ? {
        ...common,
        stream: report.stream,
        first: String(report.first),
        last: String(report.last),
      }
    : { ...common, type: report.type, from: report.from, to: report.to }
}
