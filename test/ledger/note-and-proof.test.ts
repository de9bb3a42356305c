import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { canonicalText, parseJsonStrictly } from '../../src/contracts/canonical-json.js'
import { EvidenceError } from '../../src/contracts/errors.js'
import type { Leaf } from '../../src/contracts/leaf.js'
import { formatCheckpoint, parseCheckpoint } from '../../src/ledger/checkpoint.js'
import {
  base64Of,
  bytesOfBase64,
  bytesOfHex,
  hexOf,
  textOf,
  utf8,
} from '../../src/ledger/encoding.js'
import { activityEventId, cloudEventId, idempotencyEventId } from '../../src/ledger/event-ids.js'
import { dataDigest, leafTextOf, metadataDigest, parseLeaf } from '../../src/ledger/leaf.js'
import { leafHash } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import {
  formatNote,
  formatVkey,
  parseNote,
  parseVkey,
  signatureLinesMax,
  verifyNote,
} from '../../src/ledger/note.js'
import { buildProofFile, verifyProofFile } from '../../src/ledger/proof-file.js'
import { checkStream } from '../../src/ledger/stream-name.js'
import { formatTlogProof, parseTlogProof } from '../../src/ledger/tlog-proof.js'
import { draft, openTestLedger, request } from '../support/ledger.js'

const { sha256 } = nodeCrypto
const vectorText = (name: string) =>
  readFileSync(join(import.meta.dirname, '../../schemas/vectors', name), 'utf8')
/** A vector file stands beside the code; the caller says its shape. */
const vector = <Shape>(name: string) => JSON.parse(vectorText(name)) as Shape
const malformed = { code: 'PROOF_MALFORMED' }

t.test('RFC 8785 examples come out', async (t) => {
  const { texts, numbers } = vector<{
    texts: { input: string; canonical: string }[]
    numbers: { ieee754: string; text: string }[]
  }>('rfc8785.json')

  for (const { input, canonical } of texts)
    t.equal(canonicalText(parseJsonStrictly(input)), canonical)
  for (const { ieee754, text } of numbers)
    t.equal(canonicalText(Buffer.from(ieee754, 'hex').readDoubleBE()), text)
})

t.test('digests, leaves and event ids are those of the vectors', async (t) => {
  const { digests, leaves } = vector<{
    digests: { part: string; salt: string; bytes: string; digest: string }[]
    leaves: { leaf: Leaf; text: string; leaf_hash: string }[]
  }>('leaf.json')
  const { ids } = vector<{
    ids: { namespace: string; names: [string, string, string]; id: string }[]
  }>('event-ids.json')

  for (const { part, salt, bytes, digest } of digests) {
    const own = part === 'data' ? dataDigest : metadataDigest
    t.equal(hexOf(own(sha256, bytesOfHex(salt), bytesOfHex(bytes))), digest)
  }
  for (const { leaf, text, leaf_hash } of leaves) {
    t.equal(leafTextOf(leaf), text)
    t.strictSame(parseLeaf(text), leaf)
    t.equal(hexOf(leafHash(sha256, utf8(text))), leaf_hash)
  }
  for (const { namespace, names, id } of ids) {
    const own = {
      activity: activityEventId,
      cloudevent: cloudEventId,
      idempotency: idempotencyEventId,
    }[namespace]
    t.equal(own?.(...names), id)
  }
})

t.test('only the one text of a valid leaf is a leaf', async (t) => {
  const { leaves } = vector<{ leaves: { leaf: Leaf; text: string }[] }>('leaf.json')
  const [{ leaf, text } = { leaf: undefined, text: '' }] = leaves
  const json = text.slice(text.indexOf('\n') + 1)

  for (const other of [
    json,
    `${text}\n`,
    text.replace('/1\n', '/2\n'),
    text.replace('{', '{ '),
    text.replace('"prev":null', '"prev":""'),
    text.replace('"revision":"0"', '"revision":0'),
    text.replace('"revision":"0"', '"revision":"00"'),
    text.replace('.678Z', '.67Z'),
    text.replace('"actor":"ada"', '"actor":"\\u0061da"'),
    text.replace('{', '{"aa":"x",'),
    text.replace('"writer":"client"', '"writer":"somebody"'),
    text.replace('"ada"', `"${'a'.repeat(257)}"`),
    text.replace('"ada"', `"${'a'.repeat(4096)}"`),
  ]) {
    t.throws(() => parseLeaf(other), malformed, other.slice(0, 60))
  }
  t.ok(leaf)
})

t.test('hex and base64 have one text for each sequence of bytes', async (t) => {
  for (let length = 0; length < 70; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) % 256)
    t.equal(base64Of(bytes), Buffer.from(bytes).toString('base64'))
    t.strictSame(bytesOfBase64(base64Of(bytes)), bytes)
    t.strictSame(bytesOfHex(hexOf(bytes)), bytes)
  }
  for (const text of ['A', 'AA', 'AA=', 'AB==', 'AAB=', 'AA==\n', 'AA==AA==', '-_==', 'A===']) {
    t.throws(() => bytesOfBase64(text), malformed, text)
  }
  for (const text of ['0', 'AA', '0g', ' 00']) t.throws(() => bytesOfHex(text), malformed, text)
  t.throws(() => textOf(Uint8Array.of(0xc0, 0x80)), malformed)
})

t.test('the C2SP signed-note example verifies, and changed notes do not', async (t) => {
  const { vkey, text, note } = vector<{ vkey: string; text: string; note: string }>(
    'signed-note.json',
  )
  const key = parseVkey(sha256, vkey)
  const parsed = parseNote(note)

  t.equal(parsed.text, text)
  t.equal(formatNote(parsed), note)
  t.equal(formatVkey(sha256, key.name, key.publicKey), vkey)
  t.strictSame(verifyNote(nodeCrypto, parsed, [key]), [key])
  t.throws(
    () => verifyNote(nodeCrypto, parseNote(note.replace('an example', 'no example')), [key]),
    { code: 'PROOF_MISMATCH' },
  )
  t.throws(() => verifyNote(nodeCrypto, parsed, []), { code: 'PROOF_KEY_UNKNOWN' })
  const line = note.slice(note.lastIndexOf('\u2014'))
  for (const other of [
    '',
    text,
    `${text}\n`,
    note.slice(0, -1),
    note.replace('\u2014', '-'),
    note.replace('foo Uw', 'foo  Uw'),
    note.replace('aQM=', 'aQN='),
    note.replace('This', 'Th\tis'),
    note.replace('example.com/foo', 'example.com+foo'),
    note + line.repeat(signatureLinesMax),
  ]) {
    t.throws(() => parseNote(other), malformed, other.slice(0, 80))
  }
  for (const other of [
    vkey.slice(0, -4),
    vkey.replace('+530d', '+530e'),
    vkey.replace('+A', '+B'),
    'a+b',
  ]) {
    t.throws(() => parseVkey(sha256, other), malformed, other)
  }
})

t.test('checkpoints and tlog-proofs are read strictly', async (t) => {
  const root = Uint8Array.from({ length: 32 }, (_, i) => i)
  const text = formatCheckpoint({ origin: 'example.org/ledger', size: 12, root })
  t.strictSame(parseCheckpoint(text), { origin: 'example.org/ledger', size: 12, root })
  for (const other of [
    '',
    text.slice(0, -1),
    `${text}ext\n`,
    text.replace('12', '012'),
    text.replace('12', '+12'),
    text.replace('12', '9007199254740993'),
    text.replace('AAEC', 'AAE'),
    `\n${text}`,
  ]) {
    t.throws(() => parseCheckpoint(other), malformed, other)
  }

  const proof = formatTlogProof({ index: 3, path: [root, root], checkpointNote: 'the note\n' })
  t.match(parseTlogProof(proof), { index: 3, path: [root, root], checkpointNote: 'the note\n' })
  t.strictSame(parseTlogProof(proof.replace('index', 'extra AAAA\nindex')).extra, new Uint8Array(3))
  const tooLong = proof.replace('\n\n', `\n${`${base64Of(root)}\n`.repeat(62)}\n`)
  for (const other of [
    proof.replace('@v1', '@v2'),
    proof.replace('index 3\n', ''),
    proof.replace('AAEC', 'AAEC\n'),
    tooLong,
  ]) {
    t.throws(() => parseTlogProof(other), malformed)
  }
})

const { vkey, position, size, event } = vector<{
  vkey: string
  position: number
  size: number
  event: string
}>('proof.json')
const file = vectorText('example.proof.json')
const codeOf = (changed: string | Uint8Array, keys = [vkey]): string => {
  try {
    verifyProofFile(changed, { keys }, nodeCrypto)
    return 'verified'
  } catch (error) {
    return error instanceof EvidenceError ? error.code : String(error)
  }
}

t.test('the proof file of the vectors verifies step by step', async (t) => {
  const report = verifyProofFile(file, { keys: [vkey] }, nodeCrypto)

  t.match(report, {
    position,
    leaf: { id: event },
    checkpoint: { size },
    trusted: [vkey],
    signedBy: [vkey],
  })
  t.strictSame(
    report.steps.map(({ name }) => name),
    ['form', 'leaf', 'data', 'metadata', 'signatures', 'inclusion', 'trust'],
  )
  t.equal(codeOf(file, []), 'PROOF_KEY_UNKNOWN')
  try {
    verifyProofFile(file, { keys: [] }, nodeCrypto)
  } catch (error) {
    t.match(error, { details: { report: { position, trusted: [] } } })
  }
})

t.test('a proof file with any byte changed is refused by name', async (t) => {
  const bytes = utf8(file)
  const wrong: string[] = []
  for (let at = 0; at < bytes.length; at += 1) {
    for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
      const changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ bit
      const code = codeOf(changed)
      if (code !== 'PROOF_MALFORMED' && code !== 'PROOF_MISMATCH')
        wrong.push(`byte ${at} bit ${bit}: ${code}`)
    }
  }
  t.strictSame(wrong, [])
})

t.test('a proof file with anything added, left out or exchanged is refused', async (t) => {
  const parsed = JSON.parse(file) as Record<string, unknown>
  const changed = (fields: object) => codeOf(`${canonicalText({ ...parsed, ...fields })}\n`)
  const { data } = parsed as { data: object }

  t.equal(changed({}), 'verified')
  t.equal(changed({ data: null, metadata: null }), 'verified')
  t.equal(changed({ note: 'x' }), 'PROOF_MALFORMED')
  t.equal(changed({ data: { ...data, extra: '' } }), 'PROOF_MALFORMED')
  t.equal(changed({ data: parsed['metadata'] }), 'PROOF_MISMATCH')
  t.equal(changed({ keys: [vkey, vkey] }), 'PROOF_MISMATCH')
  t.equal(changed({ keys: [] }), 'PROOF_MALFORMED')
  t.equal(
    changed({ keys: [formatVkey(sha256, 'example.org/ledger', new Uint8Array(32))] }),
    'PROOF_MISMATCH',
  )
  t.equal(
    changed({ proof: String(parsed['proof']).replace('index', 'extra AAAA\nindex') }),
    'PROOF_MALFORMED',
  )
  t.equal(codeOf(`${file}\n`), 'PROOF_MALFORMED')
  t.equal(codeOf(file.trimEnd()), 'PROOF_MALFORMED')
  t.equal(codeOf(` ${file}`), 'PROOF_MALFORMED')
  t.equal(codeOf(file.replace('{', '{"format":"fractalops/proof/1",')), 'PROOF_MALFORMED')
  t.equal(codeOf(''), 'PROOF_MALFORMED')
})

t.test('the ledger writes proof files that verify against its key', async (t) => {
  const { ledger } = await openTestLedger(t)
  const wanted = draft({ data: utf8('größe') })
  await ledger.append(request({ events: [draft(), wanted, draft()] }))
  const found = await ledger.find(wanted.id)
  if (found === undefined) throw new Error('the event is not there')
  const checkpoint = await ledger.checkpointCovering(found.position)

  const text = buildProofFile(
    found,
    await ledger.proveInclusion(found.position, checkpoint.size),
    checkpoint.note,
    [ledger.vkey],
  )

  const report = verifyProofFile(text, { keys: [ledger.vkey] }, nodeCrypto)
  t.strictSame(report.data, utf8('größe'))
  t.equal(report.leaf.id, wanted.id)
  t.throws(() => verifyProofFile(text, { keys: [vkey] }, nodeCrypto), { code: 'PROOF_KEY_UNKNOWN' })
})

t.test('stream names keep the rules of their category', async (t) => {
  for (const stream of [
    'order-1',
    'order-größe/1',
    // A name without an id is a category of its own, as clients of EventStoreDB use them.
    'order',
    'order-',
    'proposal-0f2d',
    'asset-web_01.~x',
    `order-${'x'.repeat(506)}`,
  ]) {
    t.doesNotThrow(() => checkStream('default', stream), stream)
  }
  for (const stream of [
    '',
    '$x-1',
    'asset',
    'asset-',
    'asset-a b',
    'asset-größe',
    `asset-${'x'.repeat(129)}`,
    `order-${'x'.repeat(507)}`,
    'order-\u0000',
    'order-\ud800',
  ]) {
    t.throws(() => checkStream('default', stream), { code: 'STREAM_INVALID' }, stream)
  }
  for (const project of ['', 'Default', '1a', 'a'.repeat(64)])
    t.throws(() => checkStream(project, 'order-1'), { code: 'STREAM_INVALID' })
})
