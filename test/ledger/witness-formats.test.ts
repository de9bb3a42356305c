import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import { parseForeignCheckpoint } from '../../src/ledger/checkpoint.js'
import { decodeCosignature, encodeCosignature } from '../../src/ledger/cosignature.js'
import { bytesOfHex, utf8 } from '../../src/ledger/encoding.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import {
  cosign,
  ed25519Cosignature,
  formatNote,
  formatSignatureLine,
  parseNote,
  parseSignatureLines,
  parseVkey,
  signNote,
  verifyNote,
} from '../../src/ledger/note.js'
import {
  missingOf,
  parsePolicy,
  policyLinesMax,
  verifyPolicy,
} from '../../src/ledger/witness-policy.js'
import {
  formatAddCheckpoint,
  parseAddCheckpoint,
  parseSizeBody,
} from '../../src/ledger/witness-request.js'
import { parseFollowedLogs } from '../../src/ledger/witness.js'
import { cosigned, memoryLog, signerOf, witnessSigner } from '../support/witness.js'

const { sha256 } = nodeCrypto
const malformed = { code: 'PROOF_MALFORMED' }
const invalid = { code: 'WITNESS_POLICY_INVALID' }
const vector = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../schemas/vectors/cosignature.json'), 'utf8'),
) as Record<'log_vkey' | 'note' | 'time' | 'witness_seed' | 'witness_vkey', string>

/** Whatever is read, a reader answers or refuses in its own words. */
const neverCrashes = (read: (text: string) => unknown, texts: fc.Arbitrary<string>) =>
  fc.assert(
    fc.property(texts, (text) => {
      try {
        read(text)
      } catch (error) {
        if (!(error instanceof EvidenceError)) throw error
      }
    }),
    { numRuns: 500 },
  )

/** A text with a piece replaced, as accidents and attackers do it. */
const damaged = (text: string) =>
  fc
    .tuple(fc.nat(text.length), fc.nat(8), fc.string({ unit: 'binary', maxLength: 4 }))
    .map(([at, drop, put]) => text.slice(0, at) + put + text.slice(at + drop))

t.test('a cosignature made by another implementation verifies, and ours is the same', async (t) => {
  const [log, witness] = [vector.log_vkey, vector.witness_vkey].map((vkey) =>
    parseVkey(sha256, vkey),
  )
  const note = parseNote(vector.note)
  if (log === undefined || witness === undefined) throw new Error('the vector has no keys')
  const signer = signerOf('witness.example.com/w1', ed25519Cosignature)

  t.strictSame(verifyNote(nodeCrypto, note, [log, witness]), [log, witness])
  t.equal(formatNote(note), vector.note)
  t.equal(String(decodeCosignature(note.signatures[1]?.signature ?? utf8('')).time), vector.time)
  t.equal(bytesOfHex(vector.witness_seed).length, 32)
  const own = await cosign(note.text, signer, Number(vector.time), sha256)
  t.equal(own.signature.length, 72)
  for (const other of [
    { ...note, text: note.text.replace('5', '6') },
    {
      ...note,
      signatures: note.signatures.map((line) => ({
        ...line,
        signature: line.signature.map((byte, at) => (at === 7 ? byte ^ 1 : byte)),
      })),
    },
  ])
    t.throws(() => verifyNote(nodeCrypto, other, [witness]), { code: 'PROOF_MISMATCH' })
})

t.test('a key of a log cosigns nothing, and a key of a witness signs no checkpoint', async (t) => {
  const { textOf, vkey } = memoryLog()
  await t.rejects(cosign(textOf(1), signerOf('example.org/log'), 1, sha256), malformed)
  await t.rejects(signNote(textOf(1), witnessSigner('w.example/1'), sha256), malformed)
  t.throws(() => parseFollowedLogs(sha256, `log ${witnessSigner('w.example/1').vkey}\n`), {
    code: 'CONFIGURATION_INVALID',
  })
  t.equal(parseFollowedLogs(sha256, `# ours\n\nlog ${vkey}\nlog ${vkey} other/origin`).size, 2)
})

t.test('cosignatures of other lengths or times are refused', async (t) => {
  const signature = new Uint8Array(64)
  t.strictSame(decodeCosignature(encodeCosignature({ time: 2n ** 63n - 1n, signature })), {
    time: 2n ** 63n - 1n,
    signature,
  })
  t.throws(() => encodeCosignature({ time: 2n ** 63n, signature }), malformed)
  t.throws(() => encodeCosignature({ time: -1n, signature }), malformed)
  t.throws(() => encodeCosignature({ time: 1n, signature: new Uint8Array(63) }), malformed)
  for (const length of [0, 64, 71, 73])
    t.throws(() => decodeCosignature(new Uint8Array(length)), malformed)
  t.throws(() => decodeCosignature(new Uint8Array(72).fill(255)), malformed)
})

t.test(
  'add-checkpoint bodies come back as they were written, and nothing else is read',
  async (t) => {
    const log = memoryLog()
    const note = await log.checkpoint(7)
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 63 }),
        async (old, proof) => {
          const request = { old, proof, note }
          t.strictSame(parseAddCheckpoint(formatAddCheckpoint(request)), request)
        },
      ),
      { numRuns: 30 },
    )
    const hash = `${Buffer.alloc(32).toString('base64')}\n`
    for (const body of [
      '',
      note,
      `old 1\n${note}`,
      `old 01\n\n${note}`,
      `old -1\n\n${note}`,
      `old  1\n\n${note}`,
      `Old 1\n\n${note}`,
      `old 1\r\n\n${note}`,
      `old 1\n${hash.slice(0, -3)}\n\n${note}`,
      `old 1\n${hash.repeat(64)}\n${note}`,
      `old 9007199254740993\n\n${note}`,
      'x'.repeat(200_000),
    ])
      t.throws(() => parseAddCheckpoint(body), malformed, body.slice(0, 40))
    neverCrashes(
      parseAddCheckpoint,
      damaged(formatAddCheckpoint({ old: 3, proof: log.consistency(3, 7), note })),
    )
    neverCrashes((text) => parseForeignCheckpoint(text), damaged(log.textOf(7)))
    t.equal(parseForeignCheckpoint(`${log.textOf(7)}an extension\n`).extensions, 1)
    t.throws(() => parseForeignCheckpoint(`${log.textOf(7)}\n`), malformed)
    t.equal(parseSizeBody('12\n'), 12)
    for (const body of ['', '12', '012\n', '12\n\n', 'twelve\n'])
      t.throws(() => parseSizeBody(body), malformed)
  },
)

t.test('signature lines of a witness are read strictly', async (t) => {
  const log = memoryLog()
  const line = await cosign(log.textOf(2), witnessSigner('w.example/1'), 5, sha256)
  const text = formatSignatureLine(line)
  t.strictSame(parseSignatureLines(text + text), [line, line])
  for (const other of ['', '\n', text.slice(0, -1), `${text}\n`, text.repeat(200)])
    t.throws(() => parseSignatureLines(other), malformed)
  neverCrashes(parseSignatureLines, damaged(text))
})

const log = memoryLog()
const names = ['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3']
const signers = new Map(names.map((name) => [name, witnessSigner(`w.example/${name}`)]))
const witnessLines = [...signers]
  .map(([name, { vkey }]) => `witness ${name}\t${vkey} https://w.example/${name}/\n`)
  .join('')
const groups = `group X 2 X1 X2 X3
group Y any Y1 Y2 Y3
group X-and-Y all X Y
`
const policyText = `# who must have seen it
log ${log.vkey}

${witnessLines}
\t${groups}quorum X-and-Y
`

t.test('a policy is met by enough of its witnesses, and says whom it misses', async (t) => {
  const policy = parsePolicy(sha256, policyText)
  const note = await log.checkpoint(9)
  const judge = async (...by: string[]) => {
    const chosen = by.flatMap((name) => signers.get(name) ?? [])
    return verifyPolicy(nodeCrypto, policy, parseNote(await cosigned(note, chosen)))
  }

  t.strictSame(
    (await judge('X1', 'X3', 'Y2')).witnesses.map(({ witness, time }) => [witness.name, time]),
    [
      ['X1', 1_790_000_000n],
      ['X3', 1_790_000_000n],
      ['Y2', 1_790_000_000n],
    ],
  )
  await t.rejects(judge('X1', 'Y1'), { code: 'PROOF_NOT_WITNESSED', message: /1 of X \(X2, X3\)/ })
  await t.rejects(judge('X1', 'X2'), { code: 'PROOF_NOT_WITNESSED', message: /1 of Y/ })
  await t.rejects(judge(), { code: 'PROOF_NOT_WITNESSED' })
  await t.rejects(judge('X1', 'X1', 'Y1'), { code: 'PROOF_NOT_WITNESSED' }, 'one counts once')

  const stranger = await cosigned(note, [...signers.values(), witnessSigner('w.example/Z')])
  t.equal(verifyPolicy(nodeCrypto, policy, parseNote(stranger)).witnesses.length, 6)
  const other = memoryLog('example.org/other')
  await t.rejects(
    (async () => verifyPolicy(nodeCrypto, policy, parseNote(await other.checkpoint(9))))(),
    { code: 'PROOF_KEY_UNKNOWN' },
  )
  const forged = parseNote(await cosigned(await log.checkpoint(8), [...signers.values()]))
  t.throws(
    () =>
      verifyPolicy(nodeCrypto, policy, {
        ...forged,
        signatures: [...parseNote(note).signatures, ...forged.signatures.slice(1)],
        text: parseNote(note).text,
      }),
    { code: 'PROOF_MISMATCH' },
    'cosignatures of another checkpoint',
  )
})

t.test('a policy without logs judges by the keys that the caller knows', async (t) => {
  const policy = parsePolicy(sha256, 'quorum none\n')
  const note = parseNote(await log.checkpoint(3))
  t.throws(() => verifyPolicy(nodeCrypto, policy, note), { code: 'PROOF_KEY_UNKNOWN' })
  t.equal(
    verifyPolicy(nodeCrypto, policy, note, [parseVkey(sha256, log.vkey)]).logs[0]?.name,
    log.origin,
  )
})

t.test('policies are read strictly, and the refusal names the line', async (t) => {
  const witness = `witness A ${signers.get('X1')?.vkey}\n`
  for (const [text, message] of [
    ['', /no quorum/],
    ['quorum none', /newline/],
    ['quorum none\nquorum none\n', /line 2.*second quorum/],
    ['quorum A\n', /line 1.*not defined above/],
    [`quorum A\n${witness}`, /line 1/],
    [`${witness}${witness}quorum A\n`, /line 2.*twice/],
    [`${witness}witness A ${signers.get('X2')?.vkey}\nquorum A\n`, /defined twice/],
    [`${witness.replace('A', 'none')}quorum none\n`, /none/],
    [`witness A ${log.vkey}\nquorum A\n`, /not the key of a witness/],
    [`log ${signers.get('X1')?.vkey}\nquorum none\n`, /not of a log/],
    [`log ${log.vkey}\nlog ${log.vkey}\nquorum none\n`, /twice/],
    [`log x+1+y\nquorum none\n`, /no Ed25519/],
    [`${witness}group G 2 A\nquorum G\n`, /from 1 to 1/],
    [`${witness}group G 0 A\nquorum G\n`, /from 1 to 1/],
    [`${witness}group G 01 A\nquorum G\n`, /from 1 to 1/],
    [`${witness}group G any\nquorum G\n`, /group <name>/],
    [`${witness}group G any A A\nquorum G\n`, /in a group already/],
    [`${witness}group G any A\ngroup H any A\nquorum G\n`, /in a group already/],
    [`${witness}group G any G\nquorum G\n`, /not defined above/],
    ['vouch A\nquorum none\n', /begins no line/],
    ['quorum none\r\n', /control character/],
    ['quorum\u00a0none\n', /begins no line/],
  ] as const)
    t.throws(() => parsePolicy(sha256, text), { ...invalid, message }, text.slice(0, 50))
  t.throws(() => parsePolicy(sha256, Uint8Array.of(0x23, 0xff, 0x0a)), invalid)
  neverCrashes((text) => parsePolicy(sha256, text), damaged(policyText))
  neverCrashes((text) => parseFollowedLogs(sha256, text), damaged(`log ${log.vkey} a/b\n`))
})

t.test('a policy may name as many of each as the standard asks', async (t) => {
  const ids = Array.from({ length: 32 }, (_, i) => `w${i}`)
  const many = ids.map((id) => witnessSigner(`w.example/${id}`))
  const text = [
    ...ids.map((id) => `log ${memoryLog(`example.org/${id}`).vkey}`),
    ...many.map(({ vkey }, i) => `witness w${i} ${vkey}`),
    ...ids.map((id, i) => `group g${i} all ${id}${i === 0 ? '' : ` g${i - 1}`}`),
    'quorum g31\n',
  ].join('\n')
  const policy = parsePolicy(sha256, text)
  const note = await cosigned(await memoryLog('example.org/w7').checkpoint(4), many)

  t.equal(verifyPolicy(nodeCrypto, policy, parseNote(note)).witnesses.length, 32)
  t.throws(
    () =>
      parsePolicy(
        sha256,
        `${Array.from({ length: policyLinesMax + 1 }, (_, i) => `log ${memoryLog(`o/${i}`).vkey}`).join('\n')}\nquorum none\n`,
      ),
    invalid,
  )
})

t.test('a quorum is met exactly when counting says so', async (t) => {
  const policy = parsePolicy(sha256, policyText)
  fc.assert(
    fc.property(fc.subarray(names), (some) => {
      const by = new Set(some)
      const count = (prefix: string) => some.filter((name) => name.startsWith(prefix)).length
      t.equal(missingOf(policy.quorum, by) === null, count('X') >= 2 && count('Y') >= 1)
    }),
  )
})
