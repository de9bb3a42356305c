import { randomUUID } from 'node:crypto'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import { type FilePort, nodeFiles } from '../../src/ledger/adapters/file-port.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { createIndexKeys } from '../../src/ledger/adapters/index-keys.js'
import {
  type JournalLedger,
  type JournalOptions,
  openJournal,
  openJournalReadOnly,
} from '../../src/ledger/adapters/open-journal.js'
import { equalBytes } from '../../src/ledger/encoding.js'
import type { RecordedEvent } from '../../src/ledger/event-store.js'
import { root } from '../../src/ledger/merkle.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { collect, draft, openTestLedger, request, temporaryFolder } from '../support/ledger.js'

/** So few events to a run that small ledgers have many runs, merges and tiles. */
const indexLimits = { flushEvents: 8, closingFlushEvents: 1, fanOut: 2, frozenMax: 2 }
const now = () => Date.UTC(2026, 0, 2)
const small = (folder: string, options: Partial<JournalOptions> = {}): JournalOptions => ({
  folder,
  now,
  indexLimits,
  segmentBytesMax: 20_000,
  ...options,
})

interface Appended {
  readonly id: string
  readonly stream: string
  readonly type: string
}

/** Asks the ledger everything an index answers and compares it with the list of what was appended. */
async function agrees(
  ledger: Pick<JournalLedger, 'find' | 'positions' | 'readLog' | 'readStream' | 'size'>,
  model: readonly Appended[],
) {
  const wrong = (what: string) => {
    throw new Error(`${what} is not as it was appended`)
  }
  if (ledger.size() !== model.length) wrong('the size')
  const streams = new Map<string, number[]>()
  const types = new Map<string, number[]>()
  for (const [position, { id, stream, type }] of model.entries()) {
    if ((await ledger.find(id))?.position !== position) wrong(`the position of ${id}`)
    streams.set(stream, [...(streams.get(stream) ?? []), position])
    types.set(type, [...(types.get(type) ?? []), position])
  }
  if ((await ledger.find(randomUUID())) !== undefined) wrong('an id that nobody appended')
  const positionsOf = async (events: AsyncIterable<RecordedEvent>) =>
    (await collect(events)).map(({ position }) => position).join()
  for (const [stream, positions] of streams) {
    const read = { project: 'default', stream }
    if ((await positionsOf(ledger.readStream(read))) !== positions.join()) wrong(stream)
    const filter = { streamPrefixes: [stream] }
    if ((await positionsOf(ledger.readLog({ filter }))) !== positions.join()) wrong(stream)
  }
  for (const [type, positions] of types) {
    if ((await ledger.positions.typeSize('default', type)) !== positions.length) wrong(type)
    for (const [typeSeq, position] of positions.entries())
      if ((await ledger.positions.typePosition('default', type, typeSeq)) !== position) wrong(type)
    const read = { direction: 'backwards', filter: { types: [type] } } as const
    if ((await positionsOf(ledger.readLog(read))) !== positions.toReversed().join()) wrong(type)
  }
}

/** The files of this machine until it is killed: from then on nothing is changed any more, whatever was under way. */
function mortal() {
  let dead = false
  const alive = () => {
    if (dead) throw new Error('the process is dead')
  }
  const files: FilePort = {
    ...nodeFiles,
    async open(path, mode) {
      if (mode === 'create') alive()
      const file = await nodeFiles.open(path, mode)
      return {
        ...file,
        async write(bytes, offset) {
          alive()
          await file.write(bytes, offset)
        },
        async truncate(size) {
          alive()
          await file.truncate(size)
        },
      }
    },
    async rename(from, to) {
      alive()
      await nodeFiles.rename(from, to)
    },
    async remove(path) {
      alive()
      await nodeFiles.remove(path)
    },
  }
  return { files, kill: () => void (dead = true) }
}

t.test('keys of ids are one to one, spread, and of the secret', async (t) => {
  const keys = createIndexKeys(Buffer.alloc(32, 1))
  const others = createIndexKeys(Buffer.alloc(32, 2))
  const seen = new Set<string>()
  for (let i = 0; i < 5_000; i += 1) {
    const id = `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`
    seen.add(keys.ofId(id).join())
    if (keys.ofId(id).join() === others.ofId(id).join()) t.fail(`${id} has one key under both`)
  }
  t.equal(seen.size, 5_000)
  const tops = new Set([...seen].map((key) => Number(key.split(',')[0]) >>> 26))
  t.equal(tops.size, 64)
})

t.test(
  'the index answers what was appended, whatever was written, merged, stopped or killed between',
  async (t) => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({
          stream: fc.nat(5),
          type: fc.nat(2),
          events: fc.integer({ min: 1, max: 6 }),
        }),
      },
      { weight: 2, arbitrary: fc.constantFrom('stop', 'kill', 'look') },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const folder = await temporaryFolder(t)
        let process = mortal()
        let ledger = await openJournal(small(folder, { files: process.files }))
        const model: Appended[] = []
        for (const step of steps) {
          if (step === 'stop') {
            await ledger.close()
            ledger = await openJournal(small(folder, { files: process.files }))
          } else if (step === 'kill') {
            process.kill()
            await ledger.close().catch(() => undefined)
            process = mortal()
            ledger = await openJournal(small(folder, { files: process.files }))
          } else if (step === 'look') {
            await ledger.close()
            const view = await openJournalReadOnly({ folder })
            await agrees(view, model)
            await view.close()
            ledger = await openJournal(small(folder, { files: process.files }))
          } else {
            const stream = `order-${step.stream}`
            const type = `order.t${step.type}`
            const events = Array.from({ length: step.events }, () => draft({ type }))
            await ledger.append(request({ stream, events }))
            model.push(...events.map(({ id }) => ({ id, stream, type })))
          }
        }
        await agrees(ledger, model)
        await ledger.close()
        const report = await fsck({ folder })
        if (!report.sound) throw new Error(JSON.stringify(report.problems))
      }),
      { numRuns: 12 },
    )
  },
)

t.test('every proof from tiles on disk is that of the tree by its definition', async (t) => {
  const { ledger, folder } = await openTestLedger(t, {
    indexLimits: { ...indexLimits, flushEvents: 300 },
  })
  for (let i = 0; i < 4; i += 1)
    await ledger.append(request({ events: Array.from({ length: 260 }, () => draft()) }))
  await ledger.close()
  const again = await openJournal({ folder, now, indexLimits })
  t.teardown(() => again.close())
  const hashes = (await collect(again.readLog())).map(({ leafHash }) => leafHash)
  const { sha256 } = nodeCrypto
  const size = hashes.length

  t.equal(size, 1_040)
  t.ok(equalBytes(again.checkpoint().root, root(sha256, hashes)))
  for (const index of [0, 1, 255, 256, 511, 512, 767, 1_023, 1_039]) {
    for (const width of [1, 2, 3, 255, 256, 257, 700, 1_024, 1_040].filter(
      (width) => width > index,
    )) {
      const path = await again.proveInclusion(index, width)
      const expected = inclusionBy(hashes.slice(0, width), index)
      t.strictSame(path.map(hex), expected.map(hex))
    }
  }
  t.strictSame(hex(await again.hashTile(0, 3, 256)), hex(Buffer.concat(hashes.slice(768, 1_024))))
  t.strictSame(
    hex(await again.hashTile(1, 0, 2)),
    hex(Buffer.concat([0, 256].map((from) => root(sha256, hashes.slice(from, from + 256))))),
  )
  await t.rejects(again.hashTile(1, 0, 5), { code: 'TREE_RANGE' })
})

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** RFC 6962 §2.1.1, word for word. */
function inclusionBy(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (hashes.length === 1) return []
  let split = 1
  while (split * 2 < hashes.length) split *= 2
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)]
  return index < split
    ? [...inclusionBy(left, index), root(nodeCrypto.sha256, right)]
    : [...inclusionBy(right, index - split), root(nodeCrypto.sha256, left)]
}

/** A closed ledger whose index has runs, tiles and places on disk. */
async function indexed(t: Parameters<typeof openTestLedger>[0]) {
  const folder = await temporaryFolder(t)
  const ledger = await openJournal(small(folder))
  const model: Appended[] = []
  for (let i = 0; i < 30; i += 1) {
    const stream = `order-${i % 4}`
    const events = Array.from({ length: 20 }, () => draft({ type: `order.t${i % 3}` }))
    await ledger.append(request({ stream, events }))
    model.push(...events.map(({ id, type }) => ({ id, stream, type })))
  }
  await ledger.close()
  return { folder, model }
}

t.test(
  'a flipped bit anywhere in the index is named or makes it anew, and never a wrong answer',
  async (t) => {
    const { folder, model } = await indexed(t)
    const names = await readdir(join(folder, 'index'))
    t.ok(
      names.some((name) => name.startsWith('tiles-')) &&
        names.some((name) => name.endsWith('.run')),
    )
    let seen = 0
    for (const name of names) {
      const path = join(folder, 'index', name)
      const bytes = await readFile(path)
      for (let at = 0; at < bytes.length; at += Math.max(1, Math.floor(bytes.length / 9)) + 1) {
        const flipped = Buffer.from(bytes)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
        await writeFile(path, flipped)
        const view = await openJournalReadOnly({ folder })
        try {
          await agrees(view, model)
          for (const position of [0, 300, 599]) await view.proveInclusion(position, 600)
        } catch (error) {
          if (!(error instanceof EvidenceError) || error.code !== 'INDEX_DAMAGED') throw error
          t.match(error.details, { file: `index/${name}` })
          seen += 1
        } finally {
          await view.close()
        }
      }
      await writeFile(path, bytes)
    }
    t.ok(seen > 5, `${seen} were met while reading`)
  },
)

t.test('a damaged or missing index is made anew by a start, which says so', async (t) => {
  const { folder, model } = await indexed(t)
  for (const name of await readdir(join(folder, 'index'))) {
    const copy = await temporaryFolder(t)
    await cp(folder, copy, { recursive: true })
    const path = join(copy, 'index', name)
    if (name === 'manifest') await writeFile(path, 'nothing')
    else await rm(path)
    const told: string[] = []
    const open = () => openJournal(small(copy, { onIndexRebuild: (reason) => told.push(reason) }))
    let ledger = await open()
    // Tiles are opened when a proof needs them: that is when their absence is found.
    const proof = ledger.proveInclusion(0, 600)
    if (told.length === 0 && name.startsWith('tiles-')) {
      await t.rejects(proof, { code: 'INDEX_DAMAGED' })
      t.equal(ledger.readOnly()?.code, 'LEDGER_READ_ONLY')
      await ledger.close()
      ledger = await open()
    } else await proof
    t.match(told.join(), name.startsWith('tiles-') ? '' : name, name)
    await agrees(ledger, model)
    await ledger.append(request())
    await ledger.close()
    t.equal((await fsck({ folder: copy })).sound, true)
  }
  const copy = await temporaryFolder(t)
  await cp(folder, copy, { recursive: true })
  await rm(join(copy, 'index'), { recursive: true })
  const ledger = await openJournal(small(copy))
  await agrees(ledger, model)
  await ledger.close()
})

t.test('an index of another journal, or of more than is there, is not believed', async (t) => {
  const { folder } = await indexed(t)
  const other = await indexed(t)
  await rm(join(folder, 'index'), { recursive: true })
  await cp(join(other.folder, 'index'), join(folder, 'index'), { recursive: true })
  const told: string[] = []
  const ledger = await openJournal(small(folder, { onIndexRebuild: (reason) => told.push(reason) }))
  t.equal(ledger.size(), 600)
  t.equal(await ledger.find(other.model[0]?.id ?? ''), undefined)
  await ledger.close()
  t.match(told, [/index of/])
})

t.test('what a start no longer reads is named when it is read, and by fsck', async (t) => {
  const { folder, model } = await indexed(t)
  const [segment = ''] = (await readdir(join(folder, 'journal'))).sort()
  const path = join(folder, 'journal', segment)
  const bytes = await readFile(path)
  const place = bytes.indexOf('RECD', 3_000, 'latin1')
  bytes[place + 40] = (bytes[place + 40] ?? 0) ^ 1
  await writeFile(path, bytes)

  const ledger = await openJournal(small(folder))
  t.equal(ledger.size(), model.length)
  await t.rejects(collect(ledger.readLog()), {
    code: 'JOURNAL_DAMAGED',
    details: { segment, offset: place },
  })
  await ledger.close()
  t.match((await fsck({ folder })).problems, [{ segment, offset: place }])
})

t.test('runs are merged while the ledger takes events, not only after a start', async (t) => {
  const folder = await temporaryFolder(t)
  const created = new Set<string>()
  let merged = () => {}
  const oldRunRemoved = new Promise<void>((resolve) => (merged = resolve))
  const files: FilePort = {
    ...nodeFiles,
    open(path, mode) {
      if (mode === 'create') created.add(path)
      return nodeFiles.open(path, mode)
    },
    async remove(path) {
      await nodeFiles.remove(path)
      // Before it is written a run has no file; one that goes later was merged.
      if (path.endsWith('.run') && created.has(path)) merged()
    },
  }
  const ledger = await openJournal(small(folder, { files }))
  t.teardown(() => ledger.close())
  for (let i = 0; i < 6; i += 1)
    await ledger.append(request({ events: Array.from({ length: 8 }, () => draft()) }))
  await oldRunRemoved
  t.equal(ledger.size(), 48)
})
