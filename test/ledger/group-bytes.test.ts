import { randomBytes, randomUUID } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  isDecimal,
  isProject,
  isUuid,
  Decimal,
  Project,
  Uuid,
} from '../../src/contracts/identifiers.js'
import { isLimited, LeafName, leafNameBytesMax } from '../../src/contracts/leaf.js'
import { createDigestThread } from '../../src/ledger/adapters/digest-thread.js'
import { createRequestTaker } from '../../src/ledger/adapters/draft-check.js'
import { digestGroup, hashBytes, layGroup } from '../../src/ledger/adapters/group-bytes.js'
import { createIdTable } from '../../src/ledger/adapters/id-table.js'
import { createIndexKeys } from '../../src/ledger/adapters/index-keys.js'
import {
  decodeRecord,
  groupFrameBytes,
  isFlaw,
  type JournalRecord,
} from '../../src/ledger/adapters/journal-format.js'
import { createGroupSequencer } from '../../src/ledger/adapters/sequencer.js'
import { hexOf } from '../../src/ledger/encoding.js'
import type { AppendRequest } from '../../src/ledger/event-store.js'
import { dataDigest, leafTextOf, metadataDigest, parseLeaf } from '../../src/ledger/leaf.js'
import { leafHash } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { draft, request } from '../support/ledger.js'

const { sha256 } = nodeCrypto
const firstPosition = 2 ** 33 + 5

/** A name as the ledger takes it: any text without control characters. */
const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((text) => isLimited(text, leafNameBytesMax))
const plainName = fc.constantFrom('order', 'ada', 'text/plain')

const requests = fc.array(
  fc.record({
    stream: fc.oneof(plainName, name).map((id) => `order-${id}`),
    type: fc.oneof(plainName, name),
    actor: fc.oneof(plainName, name),
    contentType: fc.oneof(plainName, name),
    data: fc.uint8Array({ maxLength: 6_000 }),
    metadata: fc.uint8Array({ maxLength: 50 }),
  }),
  { minLength: 1, maxLength: 12 },
)

/** A group in which nothing was before: laid out as the ledger does it. */
function laidOf(appends: readonly AppendRequest[]) {
  const take = createRequestTaker()
  const prepared = appends.map((one) => take([one]))
  const known = {
    size: firstPosition,
    stored: new Map(),
    added: new Map(),
    heads: new Map(
      prepared.flatMap(({ targets }) =>
        targets.map(({ streamKey }) => [streamKey, { size: 0, prev: null, inGroup: -1 }] as const),
      ),
    ),
    types: new Map(
      prepared.flatMap(({ events }) =>
        events.map(({ typeKey }) => [typeKey, { size: 7 }] as const),
      ),
    ),
  }
  const sequencer = createGroupSequencer(known, Date.UTC(2026, 0, 1))
  for (const one of prepared) sequencer.sequence(one)
  return () => layGroup(sequencer.leaves, firstPosition)
}

function recordsIn(bytes: Buffer): JournalRecord[] {
  const records: JournalRecord[] = []
  for (let at = groupFrameBytes; at < bytes.length;) {
    const record = decodeRecord(bytes, at)
    if (isFlaw(record)) throw new Error(record.flaw)
    records.push(record)
    at += record.bytes
  }
  return records
}

t.test('a group holds the leaves that leafTextOf writes, whatever the names', async (t) => {
  fc.assert(
    fc.property(requests, (drafts) => {
      const appends = drafts.map(({ stream, ...fields }) =>
        request({ stream, events: [draft(fields)] }),
      )
      const laid = laidOf(appends)()
      digestGroup(laid)
      const hashes = Buffer.from(laid.hashes)
      const last = new Map<string, string>()
      for (const [i, record] of recordsIn(Buffer.from(laid.bytes)).entries()) {
        const { stream, events } = appends[i] ?? request()
        const event = events[0] ?? draft()
        const text = record.leaf.toString('utf8')
        const leaf = parseLeaf(text)
        const { data, metadata } = record
        if (data === null || metadata === null) throw new Error('a payload is missing')
        t.equal(text, leafTextOf(leaf))
        t.equal(record.position, firstPosition + i)
        t.match(leaf, { stream, id: event.id, type: event.type, actor: event.actor })
        t.equal(leaf.content_type, event.contentType)
        t.equal(leaf.prev, last.get(stream) ?? null)
        t.equal(leaf.data_sha256, hexOf(dataDigest(sha256, data.salt, event.data)))
        t.equal(leaf.metadata_sha256, hexOf(metadataDigest(sha256, metadata.salt, event.metadata)))
        t.not(hexOf(data.salt), hexOf(metadata.salt), 'two salts are drawn')
        const hash = hexOf(leafHash(sha256, record.leaf))
        t.equal(hashes.toString('hex', i * hashBytes, (i + 1) * hashBytes), hash)
        last.set(stream, hash)
      }
    }),
    { numRuns: 60 },
  )
})

t.test('another thread digests a large group, and this one does when it is lost', async (t) => {
  const appends = Array.from({ length: 200 }, (_, i) =>
    request({ stream: `order-${i % 7}`, events: [draft({ data: randomBytes(300) })] }),
  )
  const lay = laidOf(appends)
  const thread = createDigestThread()
  t.teardown(() => thread.close())

  const digested = await thread.digest(lay, appends.length)
  const records = recordsIn(Buffer.from(digested.bytes))
  t.equal(records.length, 200)
  t.equal(thread.handedOver(), 1)

  await thread.close()
  const here = await thread.digest(lay, appends.length)
  t.equal(recordsIn(Buffer.from(here.bytes)).length, 200)
  t.equal(thread.handedOver(), 1)
  const saltOf = (record: JournalRecord | undefined) =>
    hexOf(record?.data?.salt ?? new Uint8Array())
  t.not(saltOf(records[0]), saltOf(recordsIn(Buffer.from(here.bytes))[0]), 'salts are drawn anew')
})

t.test('checks for every append take and refuse what the schemas do', async (t) => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({ maxLength: 90 }),
    fc.constantFrom(
      '',
      'a'.repeat(256),
      'a'.repeat(257),
      'é'.repeat(128),
      'é'.repeat(129),
      '\ud800',
    ),
    fc.uuid(),
    fc.bigInt({ min: 0n, max: 10n ** 20n }).map(String),
    fc.stringMatching(/^[a-z0-9-]{1,70}$/),
  )
  fc.assert(
    fc.property(texts, (text) => {
      t.equal(isLimited(text, leafNameBytesMax), LeafName.safeParse(text).success)
      t.equal(isUuid(text), Uuid.safeParse(text).success)
      t.equal(isDecimal(text), Decimal.safeParse(text).success)
      t.equal(isProject(text), Project.safeParse(text).success)
    }),
    { numRuns: 500 },
  )
})

t.test('the table of ids answers like a map, however it has grown', async (t) => {
  const keys = createIndexKeys(randomBytes(32))
  const table = createIdTable()
  const ids = Array.from({ length: 3_000 }, () => randomUUID())
  for (const [i, id] of ids.entries()) {
    t.equal(table.get(keys.ofId(id)), undefined)
    table.add(keys.ofId(id), i)
  }
  t.equal(table.size, ids.length)
  t.ok(ids.every((id, i) => table.get(keys.ofId(id)) === i))
  const values = [...table.entries()].map(([, value]) => value)
  t.strictSame(
    values.sort((a, b) => a - b),
    ids.map((_, i) => i),
  )
})
