import { EvidenceError } from '../contracts/errors.js'
import { parseCheckpoint } from './checkpoint.js'
import { decodeCosignature } from './cosignature.js'
import { hexOf, textOf } from './encoding.js'
import {
  ed25519Cosignature,
  ed25519Note,
  type KeyType,
  type Note,
  parseVkey,
  type ProofCrypto,
  verifyNoteSignature,
  type VerifyingKey,
} from './note.js'
import type { Sha256 } from './merkle.js'

export interface PolicyLog {
  readonly vkey: string
  readonly key: VerifyingKey
  readonly url?: string
}

export interface PolicyWitness extends PolicyLog {
  /** Its name in the policy file; the key has a name of its own. */
  readonly name: string
}

/** Which cosignatures are enough: those of one witness, or of some members of a group. */
export type QuorumRule =
  | { readonly kind: 'witness'; readonly name: string }
  | {
      readonly kind: 'group'
      readonly name: string
      readonly threshold: number
      readonly members: readonly QuorumRule[]
    }

/** A C2SP tlog-policy: whose checkpoints are accepted, and who must have cosigned them. */
export interface WitnessPolicy {
  readonly logs: readonly PolicyLog[]
  readonly witnesses: readonly PolicyWitness[]
  /** Null when no cosignature is asked for. */
  readonly quorum: QuorumRule | null
}

/** A witness of a policy whose cosignature holds. */
export interface Witnessed {
  readonly witness: PolicyWitness
  /** POSIX seconds at which it cosigned, by its own clock. */
  readonly time: bigint
}

export const policyBytesMax = 262_144
/** Logs, witnesses and groups, of each. */
export const policyLinesMax = 64
// eslint-disable-next-line no-control-regex -- control characters are what is refused
const refusedCharacter = /[\u0000-\u0008\u000b-\u001f\u007f]/

const malformed = (line: number, detail: string, cause?: unknown) =>
  new EvidenceError('WITNESS_POLICY_INVALID', `line ${line} of the policy: ${detail}`, { cause })

/** Reads a policy file. @throws EvidenceError WITNESS_POLICY_INVALID naming the line. */
export function parsePolicy(sha256: Sha256, file: string | Uint8Array): WitnessPolicy {
  const lines = policyLines(file)
  const draft = createDraft(sha256)
  lines.forEach((line, at) => {
    const [keyword, ...items] = line.split(/[ \t]+/).filter(Boolean)
    if (keyword === undefined || keyword.startsWith('#')) return
    const read = draft.read[keyword]
    if (read === undefined) throw malformed(at + 1, `${quoted(keyword)} begins no line`)
    read(at + 1, items)
  })
  return draft.end(lines.length)
}

function policyLines(file: string | Uint8Array): readonly string[] {
  if (file.length > policyBytesMax) throw malformed(1, `it is larger than ${policyBytesMax} bytes`)
  let text: string
  try {
    text = typeof file === 'string' ? file : textOf(file)
  } catch (cause) {
    throw malformed(1, 'it is not UTF-8 text', cause)
  }
  const lines = text.split('\n')
  const flawed = lines.findIndex((line) => refusedCharacter.test(line))
  if (flawed !== -1) throw malformed(flawed + 1, 'it holds a control character')
  if (lines.pop() !== '') throw malformed(lines.length + 1, 'it does not end in a newline')
  return lines
}

const quoted = (text: string) => JSON.stringify(text.slice(0, 80))
type ReadLine = (line: number, items: readonly string[]) => void

/** What was read so far; each line may name only what stands above it. */
function createDraft(sha256: Sha256) {
  const logs: PolicyLog[] = []
  const witnesses: PolicyWitness[] = []
  const rules = new Map<string, QuorumRule>()
  const members = new Set<string>()
  let quorum: QuorumRule | null | undefined
  let groups = 0

  const keyOf = (line: number, vkey: string, type: KeyType): VerifyingKey => {
    try {
      const key = parseVkey(sha256, vkey)
      if (key.type === type) return key
    } catch (cause) {
      throw malformed(line, `${quoted(vkey)} is no Ed25519 verifier key`, cause)
    }
    throw malformed(
      line,
      type === ed25519Note
        ? `${quoted(vkey)} is the key of a witness, not of a log`
        : `${quoted(vkey)} is not the key of a witness (its type is not 0x04)`,
    )
  }
  const refuseKnown = (line: number, key: VerifyingKey, known: readonly PolicyLog[]) => {
    if (known.some((one) => hexOf(one.key.publicKey) === hexOf(key.publicKey)))
      throw malformed(line, `the key of ${key.name} stands in it twice`)
    if (known.length === policyLinesMax) throw malformed(line, `more than ${policyLinesMax} of it`)
  }
  const define = (line: number, name: string, rule: QuorumRule) => {
    if (name === 'none') throw malformed(line, '"none" can name nothing')
    if (rules.has(name)) throw malformed(line, `${quoted(name)} is defined twice`)
    rules.set(name, rule)
  }
  const ruleOf = (line: number, name: string): QuorumRule => {
    const rule = rules.get(name)
    if (rule === undefined) throw malformed(line, `${quoted(name)} is not defined above`)
    return rule
  }
  const member = (line: number, name: string): QuorumRule => {
    const rule = ruleOf(line, name)
    if (members.has(name)) throw malformed(line, `${quoted(name)} is in a group already`)
    members.add(name)
    return rule
  }

  const read: Readonly<Record<string, ReadLine>> = {
    log(line, [vkey, url, ...rest]) {
      if (vkey === undefined || rest.length > 0) throw malformed(line, 'log <vkey> [<url>]')
      const key = keyOf(line, vkey, ed25519Note)
      refuseKnown(line, key, logs)
      logs.push({ vkey, key, ...(url === undefined ? {} : { url }) })
    },
    witness(line, [name, vkey, url, ...rest]) {
      if (name === undefined || vkey === undefined || rest.length > 0)
        throw malformed(line, 'witness <name> <vkey> [<url>]')
      const key = keyOf(line, vkey, ed25519Cosignature)
      refuseKnown(line, key, witnesses)
      define(line, name, { kind: 'witness', name })
      witnesses.push({ name, vkey, key, ...(url === undefined ? {} : { url }) })
    },
    group(line, [name, count, ...names]) {
      if (name === undefined || count === undefined || names.length === 0)
        throw malformed(line, 'group <name> all|any|<k> <member>...')
      groups += 1
      if (groups > policyLinesMax) throw malformed(line, `more than ${policyLinesMax} groups`)
      const threshold = thresholdOf(line, count, names.length)
      const rule = { kind: 'group' as const, name, threshold }
      const parts = names.map((one) => member(line, one))
      define(line, name, { ...rule, members: parts })
    },
    quorum(line, [name, ...rest]) {
      if (name === undefined || rest.length > 0) throw malformed(line, 'quorum <name>|none')
      if (quorum !== undefined) throw malformed(line, 'it has a second quorum')
      quorum = name === 'none' ? null : ruleOf(line, name)
    },
  }
  return {
    read,
    end(line: number): WitnessPolicy {
      if (quorum === undefined) throw malformed(line, 'it has no quorum line')
      return { logs, witnesses, quorum }
    },
  }
}

function thresholdOf(line: number, count: string, members: number): number {
  if (count === 'any') return 1
  if (count === 'all') return members
  const threshold = /^[1-9][0-9]{0,2}$/.test(count) ? Number(count) : 0
  if (threshold < 1 || threshold > members)
    throw malformed(line, `${quoted(count)} is not all, any or a number from 1 to ${members}`)
  return threshold
}

/** What a quorum still wants of these witnesses (by their names in the policy); null when it is met. */
export function missingOf(quorum: QuorumRule | null, cosigned: ReadonlySet<string>): string | null {
  if (quorum === null) return null
  if (quorum.kind === 'witness') return cosigned.has(quorum.name) ? null : quorum.name
  const missing = quorum.members.flatMap((member) => missingOf(member, cosigned) ?? [])
  const met = quorum.members.length - missing.length
  return met >= quorum.threshold
    ? null
    : `${quorum.threshold - met} of ${quorum.name} (${missing.join(', ')})`
}

/** Witnesses of the policy whose cosignature of this note holds. @throws EvidenceError PROOF_MISMATCH for one that does not. */
export function witnessesOf(
  crypto: ProofCrypto,
  policy: Pick<WitnessPolicy, 'witnesses'>,
  note: Note,
): readonly Witnessed[] {
  return policy.witnesses.flatMap((witness) => {
    const lines = note.signatures.filter(
      ({ name, keyId }) => name === witness.key.name && keyId === witness.key.keyId,
    )
    for (const line of lines) verifyNoteSignature(crypto, note, line, witness.key)
    const [first] = lines
    return first === undefined ? [] : [{ witness, time: decodeCosignature(first.signature).time }]
  })
}

/**
 * Judges a signed checkpoint by a policy: a log that it names signed it (`logs` are further keys that
 * the caller knows), and enough of its witnesses cosigned it. Lines of unknown keys are ignored.
 *
 * @throws EvidenceError PROOF_MISMATCH for a bad signature of a known key; PROOF_KEY_UNKNOWN;
 * PROOF_NOT_WITNESSED naming who is missing.
 */
export function verifyPolicy(
  crypto: ProofCrypto,
  policy: WitnessPolicy,
  note: Note,
  logs: readonly VerifyingKey[] = [],
): { readonly logs: readonly VerifyingKey[]; readonly witnesses: readonly Witnessed[] } {
  const { origin } = parseCheckpoint(note.text)
  const known = [...policy.logs.map(({ key }) => key), ...logs].filter(
    (key) => key.name === origin && key.type === ed25519Note,
  )
  const signed = known.filter((key) =>
    note.signatures.some((line) => {
      if (line.name !== key.name || line.keyId !== key.keyId) return false
      verifyNoteSignature(crypto, note, line, key)
      return true
    }),
  )
  if (signed.length === 0)
    throw new EvidenceError(
      'PROOF_KEY_UNKNOWN',
      `no log that the policy names signed the checkpoint of ${origin}`,
    )
  const witnesses = witnessesOf(crypto, policy, note)
  const missing = missingOf(policy.quorum, new Set(witnesses.map(({ witness }) => witness.name)))
  if (missing !== null)
    throw new EvidenceError(
      'PROOF_NOT_WITNESSED',
      `too few witnesses cosigned the checkpoint of ${origin}: missing is ${missing}`,
      { details: { missing } },
    )
  return { logs: signed, witnesses }
}
