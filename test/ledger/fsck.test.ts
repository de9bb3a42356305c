import { randomUUID } from 'node:crypto'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import t, { type Test } from 'tap'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import {
  decodeRecord,
  decodeSegmentHeader,
  encodeGroupFrame,
  groupFrameBytes,
  isFlaw,
  payloadHeaderBytes,
  recordBytes,
  recordHeaderBytes,
  saltsAt,
  sealRecord,
  segmentHeaderBytes,
} from '../../src/ledger/adapters/journal-format.js'
import { openJournal } from '../../src/ledger/adapters/open-journal.js'
import { openWitnessedStore } from '../../src/ledger/adapters/witnessed-checkpoints.js'
import { scanGroups } from '../../src/ledger/adapters/segment-scan.js'
import { nodeFiles } from '../../src/ledger/adapters/file-port.js'
import { leafTextOf } from '../../src/ledger/leaf.js'
import { trustedLeaf } from '../../src/ledger/adapters/recovery.js'
import { utf8 } from '../../src/ledger/encoding.js'
import { draft, journalFiles, request, segmentOf, temporaryFolder } from '../support/ledger.js'

/** So few events to a run that a small ledger has runs, merges, and tiles of two levels. */
const indexLimits = { flushEvents: 150, closingFlushEvents: 1, fanOut: 3, frozenMax: 2 }
const now = () => Date.UTC(2026, 0, 2)
const open = (folder: string) => openJournal({ folder, now, indexLimits, segmentBytesMax: 150_000 })

/** A closed ledger of 600 events in several segments, all of it in the index. */
async function indexed(t: Test): Promise<string> {
  const folder = await temporaryFolder(t)
  const ledger = await open(folder)
  for (let i = 0; i < 60; i += 1) {
    const events = Array.from({ length: 10 }, () => draft({ type: `order.t${i % 3}` }))
    await ledger.append(request({ stream: `order-${i % 7}`, events }))
  }
  await ledger.close()
  return folder
}

/** What fsck says of the folder while a file is changed; afterwards it is as it was. */
async function withChanged(
  folder: string,
  name: string,
  change: (bytes: Buffer) => Buffer | undefined,
) {
  const path = join(folder, name)
  const bytes = await readFile(path)
  const changed = Buffer.from(bytes)
  await writeFile(path, change(changed) ?? changed)
  const report = await fsck({ folder })
  await writeFile(path, bytes)
  return report
}

const flip =
  (at: number) =>
  (bytes: Buffer): undefined => {
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
  }

t.test('index and hash tiles agree with the journal, and the report says so', async (t) => {
  const folder = await indexed(t)
  const report = await fsck({ folder })
  t.match(report, {
    finished: true,
    sound: true,
    size: 600,
    events: 600,
    problems: [],
    index: { state: 'sound', through: 600 },
    uniqueness: 'checked',
  })
  t.ok(report.segments > 2)
  t.ok((await readdir(join(folder, 'index'))).includes('tiles-0'))
})

t.test('what the journal has beyond the index is no flaw, and neither is no index', async (t) => {
  const folder = await indexed(t)
  const copy = await temporaryFolder(t)
  const ledger = await openJournal({
    folder,
    now,
    indexLimits: { ...indexLimits, closingFlushEvents: 100 },
  })
  await ledger.append(
    request({ stream: 'order-3', events: [draft(), draft({ type: 'order.t1' })] }),
  )
  await ledger.append(request({ stream: 'order-new' }))
  await ledger.close()
  t.match(await fsck({ folder }), {
    sound: true,
    size: 603,
    index: { state: 'sound', through: 600 },
  })
  await cp(folder, copy, { recursive: true })
  await rm(join(copy, 'index'), { recursive: true })

  for (const tailEventsMax of [524_288, 10])
    t.match(await fsck({ folder: copy, tailEventsMax }), {
      sound: true,
      size: 603,
      index: { state: 'absent', through: 0 },
      uniqueness: 'checked',
    })
})

t.test(
  'a flipped bit anywhere in the index is named with its file, and the journal is not',
  async (t) => {
    const folder = await indexed(t)
    let flips = 0
    for (const name of await readdir(join(folder, 'index'))) {
      const { length } = await readFile(join(folder, 'index', name))
      const written = name === 'places' ? 64 + 600 * 32 : length
      for (let at = 0; at < written; at += Math.max(1, Math.floor(written / 23))) {
        const report = await withChanged(folder, `index/${name}`, flip(at))
        const isSpare = isUnused(name, at)
        if (report.sound !== isSpare) t.fail(`byte ${at} of ${name}: ${JSON.stringify(report)}`)
        if (isSpare) continue
        flips += 1
        const [first] = report.problems
        if (first?.segment !== `index/${name}`)
          t.fail(`byte ${at} of ${name} is told of ${JSON.stringify(report.problems)}`)
        if (report.problems.some(({ segment }) => !segment.startsWith('index/')))
          t.fail(`the journal is blamed: ${JSON.stringify(report.problems)}`)
        t.equal(report.index.state, 'unsound')
      }
    }
    t.ok(flips > 100, `${flips} flips`)
    t.equal((await fsck({ folder })).sound, true)
  },
)

/** Bytes of headers that nobody reads. */
const isUnused = (name: string, at: number): boolean =>
  (name === 'places' && at >= 12 && at < 64) ||
  (name.startsWith('tiles-') && at >= 16 && at < 64) ||
  (name.endsWith('.run') && at >= 64 && at < 4096)

t.test('an index that contradicts the journal under right checksums is named', async (t) => {
  const folder = await indexed(t)
  const names = await readdir(join(folder, 'index'))
  const run = names.find((name) => name.endsWith('.run')) ?? ''

  const tile = await withChanged(folder, 'index/tiles-0', (bytes): undefined => {
    const frame = bytes.subarray(64 + 8208, 64 + 2 * 8208)
    flip(7 * 32 + 3)(frame)
    frame.writeUInt32LE(crc32c(frame.subarray(0, -4)), frame.length - 4)
  })
  t.match(tile, { sound: false, index: { state: 'unsound' }, problemCount: 1 })
  t.match(tile.problems, [
    { segment: 'index/tiles-0', offset: 64 + 8208 + 7 * 32, position: 263, flaw: /hash 263/ },
  ])

  const entry = await withChanged(folder, `index/${run}`, (bytes): undefined => {
    const page = bytes.subarray(4096, 8192)
    // The low word of the position of the second entry.
    page.writeUInt32LE(page.readUInt32LE(28 + 20) ^ 1, 28 + 20)
    page.writeUInt32LE(crc32c(page.subarray(0, -4)), page.length - 4)
  })
  t.match(entry, { sound: false, uniqueness: 'not-checked', index: { state: 'unsound' } })
  t.match(entry.problems, [{ segment: /index\/.*\.run/, flaw: /says position/ }])

  const manifest = await withChanged(folder, 'index/manifest', (bytes) => {
    const json = JSON.parse(bytes.subarray(16).toString()) as { edges: { hashes: string }[] }
    const [edge] = json.edges
    if (edge !== undefined) {
      const hashes = Buffer.from(edge.hashes, 'base64')
      flip(40)(hashes)
      edge.hashes = hashes.toString('base64')
    }
    return manifestOf(bytes, json)
  })
  t.match(manifest.problems, [{ segment: 'index/manifest', flaw: /right edge of level 0/ }])
  const clock = await withChanged(folder, 'index/manifest', (bytes) => {
    const json = JSON.parse(bytes.subarray(16).toString()) as Record<string, unknown>
    return manifestOf(bytes, { ...json, last_time_ms: 1, clock_alarm: true })
  })
  t.match(clock.problems, [{ flaw: /ledger time/ }, { flaw: /alarm/ }])
})

const manifestOf = (bytes: Buffer, json: unknown): Buffer => {
  const text = Buffer.from(JSON.stringify(json))
  const head = Buffer.from(bytes.subarray(0, 16))
  head.writeUInt32LE(text.length, 8)
  head.writeUInt32LE(crc32c(text), 12)
  return Buffer.concat([head, text])
}

t.test('the index of another ledger, and an index that lacks a file, are named', async (t) => {
  const folder = await indexed(t)
  const other = await indexed(t)
  for (const name of await readdir(join(folder, 'index'))) {
    if (name === 'manifest') continue
    const copy = await temporaryFolder(t)
    await cp(folder, copy, { recursive: true })
    await rm(join(copy, 'index', name))
    t.match((await fsck({ folder: copy })).problems, [{ segment: `index/${name}` }], name)
  }
  await rm(join(folder, 'index'), { recursive: true })
  await cp(join(other, 'index'), join(folder, 'index'), { recursive: true })
  t.match((await fsck({ folder })).problems, [{ segment: 'index/manifest', flaw: /index of/ }])
})

t.test('a witnessed checkpoint that is damaged or of another tree is named as such', async (t) => {
  const folder = await indexed(t)
  const ledger = await open(folder)
  const checkpoint = ledger.checkpoint()
  await ledger.close()
  const store = await openWitnessedStore(folder, ledger.origin, () => undefined)
  await store.append(checkpoint)
  await store.close()
  t.match(await fsck({ folder }), { sound: true, witnessed: 1 })

  const report = await withChanged(folder, 'witnessed', flip(60))
  t.match(report, { sound: false, problems: [{ segment: 'witnessed' }] })
  t.notOk(report.problems.some(({ segment }) => segment !== 'witnessed'))
  const behind = await withChanged(folder, 'witnessed', (bytes) =>
    Buffer.concat([bytes.subarray(0, 40), bytes]),
  )
  t.match(behind, { sound: false, witnessed: 1, problems: [{ segment: 'witnessed', offset: 0 }] })
})

/** Appends a group with the record of an earlier event at a new position, as a forger of the journal would. */
async function forge(
  folder: string,
  position: number,
  change: (leaf: Record<string, unknown>) => object,
) {
  const path = (await journalFiles(folder)).at(-1) ?? ''
  const first = await segmentOf(folder)
  const source = await nodeFiles.open(first, 'read')
  const header = decodeSegmentHeader((await readFile(first)).subarray(0, segmentHeaderBytes))
  const bytes = await readFile(path)
  const last = decodeSegmentHeader(bytes.subarray(0, segmentHeaderBytes))
  if (isFlaw(header) || isFlaw(last)) throw new Error('there are headers')
  for await (const group of scanGroups(source, header.nonce)) {
    if (isFlaw(group)) throw new Error('there is a group')
    const record = decodeRecord(group.bytes, groupFrameBytes)
    if (isFlaw(record) || record.data === null || record.metadata === null)
      throw new Error('there is a record')
    const leaf = change({ ...trustedLeaf(record.leaf.toString()) })
    const text = utf8(leafTextOf(leaf as Parameters<typeof leafTextOf>[0]))
    const { data, metadata } = record
    const lengths = { leaf: text.length, data: data.bytes.length, metadata: metadata.bytes.length }
    const forged = Buffer.alloc(8_192)
    const leafAt = groupFrameBytes + recordHeaderBytes
    const payloadAt = leafAt + text.length
    forged.set(text, leafAt)
    forged.set(data.salt, payloadAt + saltsAt)
    forged.set(metadata.salt, payloadAt + saltsAt + data.salt.length)
    forged.set(data.bytes, payloadAt + payloadHeaderBytes)
    forged.set(metadata.bytes, payloadAt + payloadHeaderBytes + lengths.data)
    sealRecord(forged, groupFrameBytes, position, lengths)
    const end = groupFrameBytes + recordBytes(lengths)
    encodeGroupFrame(
      forged,
      { recordCount: 1, firstPosition: position, bytes: end - groupFrameBytes },
      last.nonce,
      bytes.length,
    )
    await writeFile(path, Buffer.concat([bytes, forged.subarray(0, end)]))
    await source.close()
    return
  }
}

t.test('an id that stands on the ledger twice is named, with an index and without', async (t) => {
  const folder = await indexed(t)
  await forge(folder, 600, (leaf) => leaf)
  const twice = /stands on the ledger twice/
  t.match((await fsck({ folder })).problems[0], { position: 600, flaw: twice })
  await rm(join(folder, 'index'), { recursive: true })
  for (const tailEventsMax of [524_288, 10]) {
    const report = await fsck({ folder, tailEventsMax })
    t.match(report.problems[0], { position: 600, flaw: twice })
    t.match(report.problems[1], { position: 600, flaw: /revision is 0/ })
    t.match(report.problems[2], { position: 600, flaw: /prev/ })
    t.match(report.problems[3], { position: 600, flaw: /type_seq is 0/ })
    t.equal(report.problemCount, 4)
  }
})

t.test('a revision that is left out is named, with an index and without', async (t) => {
  const folder = await indexed(t)
  await forge(folder, 600, (leaf) => ({
    ...leaf,
    id: randomUUID(),
    revision: '999',
    type_seq: '999',
  }))
  const expected = [
    { position: 600, flaw: /revision is 999, the stream order-0 is at 90/ },
    { position: 600, flaw: /prev/ },
    { position: 600, flaw: /type_seq is 999/ },
  ]
  t.match((await fsck({ folder })).problems, expected)
  await rm(join(folder, 'index'), { recursive: true })
  t.match((await fsck({ folder })).problems, expected)
})

t.test('damage of the journal is told of the journal, whatever the index says', async (t) => {
  const folder = await indexed(t)
  const name = `journal/${(await readdir(join(folder, 'journal')))[1] ?? ''}`
  const bytes = await readFile(join(folder, name))
  const place = bytes.indexOf('RECD', 9_000, 'latin1')
  const report = await withChanged(folder, name, flip(place + 60))
  t.match(report, { sound: false, uniqueness: 'not-checked' })
  t.match(report.problems[0], { segment: name.slice(8), offset: place })
  t.notOk(report.problems.some(({ segment }) => segment.startsWith('index/')))
})

t.test(
  'an interrupted check is gone on with where it stood, and ends with the same report',
  async (t) => {
    const folder = await indexed(t)
    const statePath = join(await temporaryFolder(t), 'fsck.json')
    const whole = await fsck({ folder })
    const notices: string[] = []
    const check = (resume: boolean, stopAfter?: number) => {
      const stopping = new AbortController()
      return fsck(
        {
          folder,
          statePath,
          resume,
          saveEveryMs: 0,
          turnMs: 0,
          signal: stopping.signal,
          onNotice: (notice) => notices.push(notice),
        },
        ({ events }) => {
          if (stopAfter !== undefined && events >= stopAfter) stopping.abort()
        },
      )
    }
    for (const stopAfter of [20, 150, 310, 590]) {
      const stopped = await check(false, stopAfter)
      t.match(stopped, { finished: false, sound: false })
      const resumed = await check(true)
      t.ok(resumed.resumedFrom >= stopAfter - 10, `gone on with from ${resumed.resumedFrom}`)
      t.strictSame({ ...resumed, resumedFrom: 0 }, whole)
      t.strictSame(await nodeFiles.readWhole(statePath), undefined)
    }
    t.strictSame(notices, [])

    await check(false, 310)
    const [first = ''] = await journalFiles(folder)
    await writeFile(first, await readFile(first))
    t.match(await check(true), { finished: true, sound: true, resumedFrom: 0 })
    t.match(notices, [/was changed since: the check begins anew/])
    await writeFile(statePath, '{}')
    t.match(await check(true), { sound: true, resumedFrom: 0 })
    t.match(notices[1], /is not what this program writes/)
  },
)

t.test(
  'damage that was found before an interruption is in the report of the check that goes on',
  async (t) => {
    const folder = await indexed(t)
    const statePath = join(await temporaryFolder(t), 'fsck.json')
    const path = join(folder, 'index', 'places')
    const bytes = await readFile(path)
    flip(64 + 32 * 5)(bytes)
    await writeFile(path, bytes)
    const stopping = new AbortController()
    const options = { folder, statePath, saveEveryMs: 0, turnMs: 0, signal: stopping.signal }
    await fsck(options, ({ events }) => {
      if (events >= 300) stopping.abort()
    })
    const { signal: _, ...again } = options
    const report = await fsck({ ...again, resume: true })
    t.match(report, { sound: false, index: { state: 'unsound' } })
    t.ok(report.resumedFrom > 200)
    t.match(report.problems, [{ segment: 'index/places', position: 5 }])
  },
)
